import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { removeFederation } from "@countersign/sdk/contract/federation";
import { listSigningKeys, taintAuthority, withdrawAuthority } from "@countersign/sdk/contract/signing-keys";
import { parseTrustBundle } from "@countersign/sdk/verify/trust-bundle";
import { verifyX509Svid } from "@countersign/sdk/verify/x509-svid";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { read, security, statusOf } from "../workload-api/socket.ts";
import {
  certificatesIn,
  chainOf,
  fetchJwt,
  type House,
  named,
  openHouses,
  published,
  refresh,
  serverId,
  systemEntries,
  validate,
  verifyPeer,
} from "./federated-houses.ts";

const removals: (() => Promise<void>)[] = [];
let one: House;
let other: House;
beforeAll(async () => {
  [one, other] = await openHouses((remove) => removals.push(remove));
});
afterAll(async () => {
  for (const remove of removals.reverse()) await remove();
});

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
});

describe("countersign federation", () => {
  it("[FED-011] adds, lists, shows, refreshes and removes", async () => {
    const { installation } = one;
    await one.operator.perform(removeFederation, named("other.example"));
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
    expect((await installation.run("federation", "refresh", "other.example")).code).toBe(1);
  });
});
