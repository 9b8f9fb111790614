import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:https";
import type { SpiffeId, TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { formatTrustBundle } from "@countersign/sdk/verify/trust-bundle";
import { verifyX509Svid } from "@countersign/sdk/verify/x509-svid";
import { describe, expect, it, onTestFinished, test } from "vitest";
import {
  type BundleEndpoint,
  dueAfterMs,
  refreshAfterSeconds,
  retryAfterSeconds,
} from "../../src/domain/federation.ts";
import { fetchBundle } from "../../src/svid/federation/fetch-bundle.ts";
import { endOfBundle, readBundleDocument } from "../../src/svid/federation/read-bundle.ts";
import { createSignatureVerifier } from "../../src/svid/verify-signature.ts";
import {
  bundleOf,
  dayMs,
  leaf,
  makeAuthority,
  makeOdd,
  makeSvid,
  type TestAuthority,
  uri,
} from "../svid/pki.ts";

const trustDomain = "partner.example" as TrustDomain;
const endpointSpiffeId = `spiffe://${trustDomain}/endpoint` as SpiffeId;
const root = makeAuthority(trustDomain);
const bundle = bundleOf(trustDomain, [root]);

/** An endpoint that shows a certificate of this ID, by this authority. */
async function serve(authority: TestAuthority, id: string): Promise<BundleEndpoint> {
  const { certificate, privateKey } = makeOdd(authority, [...leaf, uri(id)]);
  const cert = new X509Certificate(certificate).toString();
  const key = privateKey.export({ format: "pem", type: "pkcs8" }).toString();
  const server = createServer({ cert, key }, (_request, response) => {
    asked.push(id);
    response.end(JSON.stringify(formatTrustBundle(bundle)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const endpointUrl = `https://127.0.0.1:${port}/`;
  return {
    trustDomain,
    endpointUrl,
    profile: "https_spiffe",
    endpointSpiffeId,
    ca: undefined,
    privateAllowed: true,
  };
}

const asked: string[] = [];
const fetch = (endpoint: BundleEndpoint, known: TrustBundle | undefined, nowMs = Date.now()) =>
  fetchBundle({ now: () => nowMs, verifySignature: createSignatureVerifier() }, endpoint, known);

describe("[FED-010] an endpoint under https_spiffe", () => {
  it("is asked when it shows an SVID of its very ID by what is known", async () => {
    const fetched = await fetch(await serve(root, endpointSpiffeId), bundle);
    expect(fetched.bundle.x509Authorities).toHaveLength(1);
  });

  it("is asked nothing when it shows any other", async () => {
    asked.length = 0;
    const refused = async (
      authority: TestAuthority,
      id: string,
      known: TrustBundle | undefined,
      nowMs?: number,
    ) =>
      expect(fetch(await serve(authority, id), known, nowMs)).rejects.toMatchObject({
        name: "BundleFetchError",
      });
    const foreign = makeAuthority("other.example");
    await refused(root, `spiffe://${trustDomain}/agent`, bundle);
    await refused(root, "spiffe://other.example/endpoint", bundle);
    await refused(foreign, endpointSpiffeId, bundle);
    // One of the same name, with another key.
    await refused(makeAuthority(trustDomain), endpointSpiffeId, bundle);
    await refused(root, endpointSpiffeId, undefined);
    await refused(root, endpointSpiffeId, bundleOf(trustDomain, []));
    await refused(root, endpointSpiffeId, bundle, Date.now() + 2 * dayMs);
    expect(asked).toEqual([]);
  });
});

test("[FED-013] a foreign authority verifies no ID of ours", async () => {
  const own = bundleOf("own.example", [makeAuthority("own.example")]);
  const forged = makeSvid(root, "spiffe://own.example/org/default/agent/one");
  const byName = (asked: string) => [own, bundle].find((one) => one.trustDomain === asked);
  await expect(verifyX509Svid({ bundleOf: byName, now: Date.now }, [forged])).rejects.toMatchObject({
    code: "key_unknown",
  });
  const ours = formatTrustBundle(bundleOf("own.example", [makeAuthority("own.example")]));
  expect(() => readBundleDocument(trustDomain, ours)).toThrow("another trust domain");
});

test("[FED-009] a bundle ends with the last of its authorities", () => {
  const nowMs = Math.floor(Date.now() / 1000) * 1000;
  const later = makeAuthority(trustDomain, { nowMs, untilMs: nowMs + 3 * dayMs });
  expect(endOfBundle(bundleOf(trustDomain, [later, root]))).toBe(nowMs + 3 * dayMs);
  expect(endOfBundle(bundleOf(trustDomain, []))).toBeUndefined();
});

describe("[FED-008] an endpoint at an address that is not public", () => {
  // A URL spells each address in one way, whatever was written.
  it.each([
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://localhost/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
  ])("%s takes leave", async (endpointUrl) => {
    const endpoint = { ...(await serve(root, endpointSpiffeId)), endpointUrl };
    await expect(fetch({ ...endpoint, privateAllowed: false }, bundle)).rejects.toThrow("not public");
  });
});

test("[FED-012] a bundle is fetched as its publisher hints, within bounds, and failures are tried ever later", () => {
  expect([undefined, 0, 59, 300, 86_400].map(refreshAfterSeconds)).toEqual([300, 60, 60, 300, 3600]);
  expect([1, 2, 3, 6, 7, 8, 1000].map(retryAfterSeconds)).toEqual([60, 120, 240, 1920, 3600, 3600, 3600]);
  expect([0, 0.5, 1].map((random) => dueAfterMs(100, random))).toEqual([100_000, 90_000, 80_000]);
});
