import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import { join } from "node:path";
import { connect } from "node:tls";
import type { Client } from "@countersign/sdk/client/client";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { signDpopProof } from "@countersign/sdk/client/sign";
import { createAgent } from "@countersign/sdk/contract/agents";
import { createEntry } from "@countersign/sdk/contract/entries";
import {
  addFederation,
  getFederation,
  refreshFederation,
  removeFederation,
} from "@countersign/sdk/contract/federation";
import { getServerStatus } from "@countersign/sdk/contract/server-status";
import { listSigningKeys, taintAuthority, withdrawAuthority } from "@countersign/sdk/contract/signing-keys";
import type { TrustBundleDocument } from "@countersign/sdk/contract/trust-bundle";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { parseTrustBundle } from "@countersign/sdk/verify/trust-bundle";
import { verifyX509Svid } from "@countersign/sdk/verify/x509-svid";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JWTSVIDResponse, ValidateJWTSVIDResponse } from "../../src/workload-api/generated/workload.ts";
import { selfSigned } from "../certificate.ts";
import { castPlayers } from "../chaos/cast.ts";
import { sqlOf } from "../chaos/postgres.ts";
import { depsFor, freePort, type Installation, makeInstallation, type ServerProcess } from "../server.ts";
import { ask, read, security, self, statusOf, workloadClient } from "../workload-api/socket.ts";

/** One trust domain: its server, with a workload of its own machine that federates with the other. */
interface House {
  readonly trustDomain: TrustDomain;
  readonly bundleUrl: string;
  readonly installation: Installation;
  server: ServerProcess;
  readonly operator: Client;
  readonly spiffeId: string;
  readonly workload: ReturnType<typeof workloadClient>;
}

const removals: (() => Promise<void>)[] = [];
let one: House;
let other: House;

beforeAll(async () => {
  [one, other] = await Promise.all([
    open("one.example", "other.example"),
    open("other.example", "one.example"),
  ]);
  await federate(one, other);
  await federate(other, one);
});
afterAll(async () => {
  for (const house of [one, other]) house.workload.close();
  for (const remove of removals) await remove();
});

async function open(trustDomain: string, federatesWith: string): Promise<House> {
  const bundlePort = await freePort();
  const settings = { COUNTERSIGN_TRUST_DOMAIN: trustDomain, COUNTERSIGN_BUNDLE_PORT: String(bundlePort) };
  const installation = await makeInstallation(settings, (remove) => removals.push(remove), [
    "--attest-own-uid",
  ]);
  const server = await installation.startServer();
  const { operator, alice } = await castPlayers(installation, server);
  const agent = await operator.perform(createAgent, { body: { owner: alice, name: "one", kind: "worker" } });
  const entry = { agent: agent.id, selectors: [self], federates_with: [federatesWith] };
  await operator.perform(createEntry, { body: entry });
  return {
    trustDomain: trustDomain as TrustDomain,
    bundleUrl: `https://127.0.0.1:${bundlePort}/`,
    installation,
    server,
    operator,
    spiffeId: agent.spiffe_id,
    workload: workloadClient(join(installation.dataDir, "workload.sock")),
  };
}

async function published({ server }: House): Promise<TrustBundleDocument> {
  return (await (await fetch(`${server.url}/spiffe/bundle`)).json()) as TrustBundleDocument;
}

const serverId = ({ trustDomain }: House) => `spiffe://${trustDomain}/countersign/server`;
const named = (trust_domain: string) => ({ params: { trust_domain: trust_domain as TrustDomain } });
const refresh = ({ operator }: House, { trustDomain }: Pick<House, "trustDomain">) =>
  operator.perform(refreshFederation, named(trustDomain));

async function federate(here: House, there: House, changed: object = {}) {
  const body = {
    trust_domain: there.trustDomain,
    endpoint_url: there.bundleUrl,
    profile: "https_spiffe",
    endpoint_spiffe_id: serverId(there),
    bundle: await published(there),
    allow_private: true,
    ...changed,
  } as const;
  return here.operator.perform(addFederation, { body });
}

const fetchJwt = ({ workload }: House, audience: string) =>
  ask<JWTSVIDResponse>((respond) =>
    workload.fetchJwtsvid({ audience: [audience], spiffeId: "" }, security, respond),
  ).then(({ svids }) => svids[0]?.svid ?? "");
const validate = ({ workload }: House, svid: string, audience: string) =>
  ask<ValidateJWTSVIDResponse>((respond) => workload.validateJwtsvid({ audience, svid }, security, respond));

/** What a workload verifies its peers by, as its socket told last. */
async function bundlesAt(house: House): Promise<Record<string, Buffer>> {
  const stream = read(house.workload.fetchX509Svid({}, security));
  const { svids, federatedBundles } = await stream.next();
  stream.cancel();
  return { ...federatedBundles, [`spiffe://${house.trustDomain}`]: Buffer.from(svids[0]?.bundle ?? []) };
}

async function chainOf(house: House): Promise<readonly Uint8Array[]> {
  const stream = read(house.workload.fetchX509Svid({}, security));
  const { svids } = await stream.next();
  stream.cancel();
  return certificatesIn(svids[0]?.x509Svid ?? new Uint8Array());
}

/** DER certificates, one after another. */
function certificatesIn(octets: Uint8Array): Uint8Array[] {
  const certificates: Uint8Array[] = [];
  for (let rest = Buffer.from(octets); rest.length > 0; rest = rest.subarray(certificates.at(-1)?.length)) {
    certificates.push(new X509Certificate(rest).raw);
  }
  return certificates;
}

/** Verifies a peer as a stock client does: by what the socket gives for the peer's own trust domain. */
async function verifyPeer(at: House, chain: readonly Uint8Array[]): Promise<string> {
  const bundles = await bundlesAt(at);
  const bundleOf = (trustDomain: TrustDomain): TrustBundle | undefined => {
    const octets = bundles[`spiffe://${trustDomain}`];
    return octets && { trustDomain, x509Authorities: certificatesIn(octets), jwtAuthorities: [] };
  };
  return (await verifyX509Svid({ bundleOf, now: Date.now }, chain)).spiffeId;
}

async function systemEntries({ installation }: House): Promise<Record<string, unknown>[]> {
  const rows = await sqlOf(
    installation.dataDir,
    "SELECT entry FROM ledger_entry WHERE log_id = 'system' ORDER BY index",
  );
  return rows.map(({ entry }) => JSON.parse(String(entry)));
}

describe("two servers that federate by https_spiffe", () => {
  it("[FED-001] a workload of each validates the other's JWT-SVIDs and X.509-SVIDs through its socket", async () => {
    for (const [here, there] of [
      [one, other],
      [other, one],
    ] as const) {
      const svid = await fetchJwt(there, "mail");
      expect((await validate(here, svid, "mail")).spiffeId).toBe(there.spiffeId);
      expect(await statusOf(validate(here, svid, "chat"))).toBe("INVALID_ARGUMENT");
      expect(await verifyPeer(here, await chainOf(there))).toBe(there.spiffeId);
    }
  });

  it("[FED-002] is recorded when it is added, and when what was fetched is another", async () => {
    const before = (await systemEntries(one)).filter(({ type }) => String(type).startsWith("federation."));
    expect(before[0]).toMatchObject({
      type: "federation.added",
      actor: { kind: "operator" },
      detail: { trust_domain: "other.example", profile: "https_spiffe", bundle: expect.any(String) },
    });
    const { ledger, failure } = await refresh(one, other);
    expect([ledger, failure]).toEqual([undefined, undefined]);
    const after = (await systemEntries(one)).filter(({ type }) => String(type).startsWith("federation."));
    expect(after).toEqual(before);
  });

  it("[FED-003] the endpoint proves by an SVID of the server's own, which is recorded, who it is", async () => {
    const { hostname, port } = new URL(other.bundleUrl);
    const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false });
    await once(socket, "secureConnect");
    const chain = [socket.getPeerX509Certificate()?.raw ?? new Uint8Array()];
    socket.destroy();
    const bundle = parseTrustBundle(other.trustDomain, await published(other));
    const { spiffeId, leaf } = await verifyX509Svid({ bundleOf: () => bundle, now: Date.now }, chain);
    expect(spiffeId).toBe(serverId(other));
    const recorded = (await systemEntries(other)).filter(({ type }) => type === "svid.issued");
    const serial = new X509Certificate(chain[0] ?? new Uint8Array()).serialNumber.toLowerCase();
    expect(recorded).toContainEqual(
      expect.objectContaining({ detail: expect.objectContaining({ serial, spiffe_id: serverId(other) }) }),
    );
    expect(leaf.notAfterMs).toBeLessThanOrEqual(Date.now() + 3_600_000);
  });

  it("[FED-004] what is tainted and withdrawn on one side is gone on the other after a refresh, on open streams too", async () => {
    const stream = read(one.workload.fetchX509Svid({}, security));
    const foreign = `spiffe://${other.trustDomain}`;
    const first = certificatesIn((await stream.next()).federatedBundles[foreign] ?? new Uint8Array());
    const old = await chainOf(other);
    const { items } = await other.operator.perform(listSigningKeys, { query: { limit: 200 } });
    const active = items.find(({ purpose, status }) => purpose === "x509_authority" && status === "active");
    await other.operator.perform(taintAuthority, { params: { id: active?.id ?? "" } });
    // Nobody abroad knows the successor yet: the endpoint still shows what its predecessor signed.
    expect((await refresh(one, other)).failure).toBeUndefined();
    const wider = certificatesIn((await stream.next()).federatedBundles[foreign] ?? new Uint8Array());
    expect(wider.length).toBeGreaterThan(first.length);
    await other.operator.perform(withdrawAuthority, { params: { id: active?.id ?? "" } });
    expect((await refresh(one, other)).failure).toBeUndefined();
    const narrower = certificatesIn((await stream.next()).federatedBundles[foreign] ?? new Uint8Array());
    expect(narrower.some((der) => first.some((gone) => Buffer.from(gone).equals(der)))).toBe(false);
    stream.cancel();
    // The endpoint shows an SVID of the successor by itself; until then it is not taken.
    await expect.poll(async () => (await refresh(one, other)).failure, { timeout: 30_000 }).toBeUndefined();
    await expect(verifyPeer(one, old)).rejects.toMatchObject({ code: "key_unknown" });
    expect(await verifyPeer(one, await chainOf(other))).toBe(other.spiffeId);
    const refreshed = (await systemEntries(one)).filter(({ type }) => type === "federation.refreshed");
    expect(refreshed.length).toBeGreaterThanOrEqual(2);
  });

  it("[FED-005] a foreign SVID is nobody at the token endpoint", async () => {
    const { installation, server } = one;
    const { privateJwk: key } = await makeKeyPair();
    const url = `${installation.issuer}/token`;
    const proof = await signDpopProof(depsFor(installation.issuer, server), { key, method: "POST", url });
    const body = new URLSearchParams({
      grant_type: "client_credentials",
      resource: "https://mail.example/",
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe",
      client_assertion: await fetchJwt(other, installation.issuer),
    });
    const response = await fetch(`${server.url}/token`, { method: "POST", body, headers: { DPoP: proof } });
    expect([response.status, (await response.json()) as object]).toMatchObject([
      401,
      { error: "invalid_client" },
    ]);
  });

  it("[FED-006] a workload whose entries name no trust domain gets no bundle but its own, and none once it is removed", async () => {
    await one.operator.perform(removeFederation, named("other.example"));
    const svid = await fetchJwt(other, "mail");
    await expect.poll(() => statusOf(validate(one, svid, "mail"))).toBe("INVALID_ARGUMENT");
    expect(Object.keys(await bundlesAt(one))).toEqual(["spiffe://one.example"]);
    await federate(one, other);
    await expect.poll(() => statusOf(validate(one, svid, "mail"))).toBe("OK");
    await federate(one, other, {
      trust_domain: "third.example",
      endpoint_spiffe_id: undefined,
      bundle: undefined,
      profile: "https_web",
    });
    expect(Object.keys(await bundlesAt(one))).not.toContain("spiffe://third.example");
  });

  it("[FED-007] what does not belong together is refused, and our own trust domain", async () => {
    const refused = (changed: object) =>
      federate(one, { ...other, trustDomain: "fourth.example" as TrustDomain }, changed).then(
        () => "added",
        ({ code }) => code,
      );
    expect(await refused({ trust_domain: "one.example" })).toBe("invalid_request");
    expect(await refused({ trust_domain: "other.example" })).toBe("invalid_request");
    expect(await refused({ bundle: undefined })).toBe("invalid_request");
    expect(await refused({ endpoint_spiffe_id: "spiffe://other.example/countersign/server" })).toBe(
      "invalid_request",
    );
    expect(await refused({ endpoint_spiffe_id: undefined })).toBe("invalid_request");
    expect(await refused({ endpoint_url: "http://127.0.0.1/" })).toBe("invalid_request");
    expect(await refused({ endpoint_url: "https://user@127.0.0.1/" })).toBe("invalid_request");
    // A bundle whose authorities bear the name of another trust domain.
    expect(await refused({})).toBe("invalid_request");
    expect(await federate(one, other).catch(({ code }) => code)).toBe("conflict");
  });
});

describe("an endpoint that is not what it should be", () => {
  let rogue: Server;
  let address: string;
  let ca: string;
  /** What it answers. */
  let respond: Parameters<typeof createServer>[1];
  const trustDomain = "rogue.example" as TrustDomain;

  beforeAll(async () => {
    const { cert, key } = selfSigned((await makeKeyPair()).privateJwk);
    ca = cert;
    rogue = createServer({ cert, key }, (request, response) => respond?.(request, response));
    rogue.listen(0, "127.0.0.1");
    await once(rogue, "listening");
    const bound = rogue.address();
    address = `https://127.0.0.1:${typeof bound === "object" ? bound?.port : ""}/bundle`;
  });
  afterAll(() => {
    rogue.closeAllConnections();
    rogue.close();
  });

  const answers = (document: object) => {
    respond = (_request, response) => void response.end(JSON.stringify(document));
  };
  const failureOf = async () => (await refresh(one, { trustDomain })).failure;

  it("[FED-008] is fetched under a private authority, and its older, broken, huge and redirected answers are not taken", async () => {
    answers({ keys: [], spiffe_sequence: 7 });
    const web = { trust_domain: trustDomain, endpoint_url: address, profile: "https_web" } as const;
    const unsigned = await one.operator.perform(addFederation, { body: { ...web, allow_private: true } });
    expect(unsigned.failure).toContain("does not prove what it is");
    await one.operator.perform(removeFederation, named(trustDomain));
    const inside = await one.operator.perform(addFederation, { body: { ...web, ca } });
    expect(inside.failure).toContain("not public");
    await one.operator.perform(removeFederation, named(trustDomain));
    const added = await one.operator.perform(addFederation, { body: { ...web, ca, allow_private: true } });
    expect([added.failure, added.bundle?.sequence]).toEqual([undefined, 7]);

    answers({ keys: [], spiffe_sequence: 6 });
    expect(await failureOf()).toContain("older");
    answers({ keys: [] });
    expect(await failureOf()).toContain("older");
    answers(await published(other));
    expect(await failureOf()).toContain("another trust domain");
    answers({ keys: [], spiffe_sequence: 8, padding: "x".repeat(1024 * 1024) });
    expect(await failureOf()).toContain("1 MiB");
    answers({ keys: "none" });
    expect(await failureOf()).toContain("no trust bundle");
    respond = (_request, response) => void response.writeHead(302, { location: other.bundleUrl }).end();
    expect(await failureOf()).toContain("redirect");
    respond = (_request, response) => void response.writeHead(500).end();
    expect(await failureOf()).toContain("status 500");
    const held = await one.operator.perform(getFederation, named(trustDomain));
    expect(held.bundle?.sha256).toBe(added.bundle?.sha256);
    answers({ keys: [], spiffe_sequence: 8 });
    expect(await failureOf()).toBeUndefined();
  });

  it("[FED-009] is told by doctor when it is gone, and what is known of it stays", async () => {
    rogue.closeAllConnections();
    rogue.close();
    await once(rogue, "close");
    expect(await failureOf()).toContain("ECONNREFUSED");
    const { checks } = await one.operator.perform(getServerStatus, {});
    const told = checks.filter(({ name, detail }) => name === "federation" && detail.startsWith(trustDomain));
    expect(told).toMatchObject([
      { state: "warning", detail: expect.stringContaining("what is known of it holds") },
    ]);
  });

  it("[FED-010] that has an SVID of another ID, or of an authority that is not known, is not taken", async () => {
    await one.operator.perform(removeFederation, named("other.example"));
    const wrongId = await federate(one, other, { endpoint_spiffe_id: other.spiffeId });
    expect(wrongId.failure).toContain("another SPIFFE ID");
    await one.operator.perform(removeFederation, named("other.example"));
    const wrongBundle = await federate(one, other, { bundle: { keys: [] } });
    expect(wrongBundle.failure).toContain("not taken");
    await one.operator.perform(removeFederation, named("other.example"));
  });
});

describe("countersign federation", () => {
  it("[FED-011] adds, lists, shows, refreshes and removes", async () => {
    const { installation } = one;
    const file = join(installation.dataDir, "other.json");
    writeFileSync(file, JSON.stringify(await published(other)));
    const answer = async (...words: string[]) => {
      const { code, out, err } = await installation.run("federation", ...words, "--json");
      expect(code, err).toBe(0);
      return JSON.parse(out);
    };
    const words = ["--trust-domain", "other.example", "--url", other.bundleUrl, "--profile", "https_spiffe"];
    const given = ["--endpoint-id", serverId(other), "--bundle", file, "--allow-private"];
    expect(await answer("add", ...words, ...given)).toMatchObject({
      trust_domain: "other.example",
      status: "active",
    });
    const { items } = await answer("list");
    expect(items.map(({ trust_domain }: { trust_domain: string }) => trust_domain)).toContain(
      "other.example",
    );
    expect(await answer("show", "other.example")).toMatchObject({ profile: "https_spiffe" });
    expect((await answer("refresh", "other.example")).failure).toBeUndefined();
    expect((await answer("remove", "other.example")).status).toBe("deleted");
    expect((await installation.run("federation", "refresh", "rogue.example")).code).toBe(1);
  });
});
