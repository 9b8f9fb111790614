import { createPublicKey, randomBytes } from "node:crypto";
import type { OrganizationId } from "@countersign/sdk/model/ids";
import { readCertificate } from "@countersign/sdk/verify/certificate";
import { isRsaTaken, verifySignatureByWebCrypto } from "@countersign/sdk/verify/x509-signature";
import { describe, expect, it } from "vitest";
import { createNonces } from "../../src/svid/attest/node/nonces.ts";
import { createX509PopAttestor } from "../../src/svid/attest/node/x509pop.ts";
import { createSignatureVerifier } from "../../src/svid/verify-signature.ts";
import { authority, leaf, makeOdd, newKey, type TestAuthority } from "../svid/pki.ts";
import { usesUpAtOnce } from "../used-once.ts";

const root = makeOdd(undefined, authority, { name: "machines" });

/** Joins by a chain, with a nonce of ours unless another is given. @returns the keys that signatures were checked by */
async function keysUsed(chain: readonly TestAuthority[], given?: string): Promise<readonly string[]> {
  const used: string[] = [];
  const verify = createSignatureVerifier();
  const nonces = createNonces({
    now: Date.now,
    randomBytes,
    secret: randomBytes(32),
    useUp: usesUpAtOnce(),
  });
  const attestor = createX509PopAttestor({
    now: Date.now,
    nonces,
    verifySignature(signed) {
      used.push(hex(signed.publicKey));
      return verify(signed);
    },
    authorities: [root.certificate],
    organization: "default" as OrganizationId,
  });
  const certificates = chain.map(({ certificate }) => Buffer.from(certificate).toString("base64"));
  const evidence = { certificates, nonce: given ?? nonces.next().nonce, signature: "AAAA" };
  await expect(attestor.attest(evidence, newKey().publicKey)).rejects.toMatchObject({ code: "not_attested" });
  return used;
}

const hex = (octets: Uint8Array) => Buffer.from(octets).toString("hex");
const keyOf = ({ certificate }: TestAuthority) => hex(readCertificate(certificate).publicKey);
/** A machine's certificate below others, the uppermost first. */
function below(uppermost: TestAuthority, more: number): readonly TestAuthority[] {
  const above = [uppermost];
  for (let place = 0; place < more; place++)
    above.unshift(makeOdd(above[0], authority, { name: `below ${place}` }));
  return [makeOdd(above[0], leaf, { name: "machine" }), ...above];
}

describe("[NOD-090] who shows a certificate", () => {
  it("has no signature checked without a nonce of ours", async () => {
    expect(await keysUsed(below(makeOdd(root, authority, { name: "upper" }), 2), "x")).toEqual([]);
  });

  it("has none checked where the chain names nobody who is trusted", async () => {
    const stranger = makeOdd(undefined, authority, { name: "stranger" });
    expect(await keysUsed(below(stranger, 3))).toEqual([]);
  });

  it("has none checked by a key of its own, whomever the chain names", async () => {
    const alike = makeOdd(undefined, authority, { name: "machines" });
    const forged = makeOdd({ ...alike, issuer: root.issuer }, authority, { name: "upper" });
    expect(await keysUsed(below(forged, 2))).toEqual([keyOf(root)]);
  });

  it("has the whole chain checked from the trusted one on", async () => {
    const chain = below(makeOdd(root, authority, { name: "upper" }), 1);
    expect(await keysUsed(chain)).toEqual([root, ...chain.slice(1).reverse()].map(keyOf));
  });

  it.each([
    [2048, 65537n, true],
    [4096, 3n, true],
    [4096, 2n ** 32n - 1n, true],
    [2047, 65537n, false],
    [4097, 65537n, false],
    [16384, 65537n, false],
    [2048, 1n, false],
    [2048, 0n, false],
    [2048, 65536n, false],
    [2048, 2n ** 32n + 1n, false],
    [2048, 2n ** 2047n + 1n, false],
  ])("costs by an RSA key what usual ones do: %i bits and e = %i", (bits, exponent, isTaken) => {
    expect(isRsaTaken(bits, exponent)).toBe(isTaken);
  });

  it("is told no by both verifiers at once where the RSA key is of no usual size", async () => {
    const base64url = (number: bigint) =>
      Buffer.from(
        number
          .toString(16)
          .padStart(2, "0")
          .replace(/^(?=(..)*.$)/, "0"),
        "hex",
      ).toString("base64url");
    for (const [bits, e] of [
      [16384, 65537n],
      [2048, 2n ** 2046n + 1n],
    ] as const) {
      const n = base64url(2n ** BigInt(bits) - 1n);
      const key = createPublicKey({ key: { kty: "RSA", n, e: base64url(e) }, format: "jwk" });
      const signed = {
        algorithm: "1.2.840.113549.1.1.11",
        publicKey: key.export({ format: "der", type: "spki" }),
        message: new Uint8Array(1),
        signature: new Uint8Array(bits / 8).fill(1),
      };
      expect(createSignatureVerifier()(signed)).toBe(false);
      expect(await verifySignatureByWebCrypto(signed)).toBe(false);
    }
  });
});
