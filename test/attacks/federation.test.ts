import { once } from "node:events";
import { createServer, type Server } from "node:https";
import { join } from "node:path";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { signDpopProof } from "@countersign/sdk/client/sign";
import { createEntry, deleteEntry, listEntries } from "@countersign/sdk/contract/entries";
import { addFederation, getFederation, removeFederation } from "@countersign/sdk/contract/federation";
import { getServerStatus } from "@countersign/sdk/contract/server-status";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DiscoveryResponse } from "../../src/workload-api/generated/envoy/discovery.ts";
import { Secret, SPIFFECertValidatorConfig } from "../../src/workload-api/generated/envoy/tls.ts";
import { selfSigned } from "../certificate.ts";
import {
  bundlesAt,
  federate,
  fetchJwt,
  type House,
  named,
  openHouses,
  published,
  refresh,
  validate,
} from "../e2e/federated-houses.ts";
import { depsFor } from "../server.ts";
import { ask, read, secretClient, security, self, statusOf } from "../workload-api/socket.ts";

const removals: (() => Promise<void>)[] = [];
let one: House;
let other: House;
beforeAll(async () => {
  [one, other] = await openHouses((remove) => removals.push(remove));
});
afterAll(async () => {
  for (const remove of removals.reverse()) await remove();
});

/** What the workload of `one` is told of another trust domain by each call that tells of bundles. */
async function seenOf({ trustDomain }: House, svid: string) {
  const foreign = `spiffe://${trustDomain}`;
  const proxy = secretClient(join(one.installation.dataDir, "workload.sock"));
  removals.push(async () => proxy.close());
  const first = async <Answer>(stream: Parameters<typeof read<Answer>>[0]) => {
    const reading = read(stream);
    return reading.next().finally(reading.cancel);
  };
  const secrets = (...resourceNames: string[]) => {
    const version = { majorNumber: 1, minorNumber: 34, patch: 0 };
    const node = { userAgentName: "envoy", userAgentBuildVersion: { version } };
    const asked = { versionInfo: "", node, resourceNames, responseNonce: "", errorDetail: undefined };
    const typeUrl = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
    return ask<DiscoveryResponse>((respond) => proxy.fetchSecrets({ ...asked, typeUrl }, respond));
  };
  const secretsIn = ({ resources }: DiscoveryResponse) => resources.map(({ value }) => Secret.decode(value));
  const validatorsIn = (each: Secret) =>
    SPIFFECertValidatorConfig.decode(
      each.validationContext?.customValidatorConfig?.typedConfig?.value ?? Buffer.alloc(0),
    ).trustDomains.map(({ name }) => `spiffe://${name}`);
  const told = [
    Object.keys((await first(one.workload.fetchX509Bundles({}, security))).bundles),
    Object.keys((await first(one.workload.fetchJwtBundles({}, security))).bundles),
    Object.keys((await first(one.workload.fetchX509Svid({}, security))).federatedBundles),
    secretsIn(await secrets("ALL")).flatMap(validatorsIn),
    secretsIn(await secrets()).map(({ name }) => name),
  ];
  return {
    validates: await statusOf(validate(one, svid, "mail")),
    secret: await statusOf(secrets(foreign)),
    named: told.flat().filter((name) => name === foreign),
  };
}

describe("a foreign trust domain", () => {
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

  it("[FED-006] a workload whose entries name no trust domain sees nothing of one whose bundle is held, by any call", async () => {
    const svid = await fetchJwt(other, "mail");
    const all = { validates: "OK", secret: "OK", named: Array(5).fill("spiffe://other.example") };
    expect(await seenOf(other, svid)).toEqual(all);
    const { items } = await one.operator.perform(listEntries, { query: { limit: 200 } });
    for (const { id } of items) await one.operator.perform(deleteEntry, { params: { id } });
    const agent = items[0]?.agent ?? expect.unreachable();
    await one.operator.perform(createEntry, { body: { agent, selectors: [self] } });
    await expect.poll(() => statusOf(validate(one, svid, "mail"))).toBe("INVALID_ARGUMENT");
    const none = { validates: "INVALID_ARGUMENT", secret: "INVALID_ARGUMENT", named: [] };
    expect(await seenOf(other, svid)).toEqual(none);
    expect((await refresh(one, other)).bundle?.sha256).toBeDefined();
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
    expect(await failureOf()).toContain("longer than 1048576 bytes");
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
    expect(await failureOf()).toBe("it can't be reached: nothing listens there");
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
