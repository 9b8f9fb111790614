import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { JwtAuthority } from "@countersign/sdk/model/trust-bundle";
import { es256Signature } from "@countersign/sdk/verify/es256-signature";
import { verifyJwtSvid } from "@countersign/sdk/verify/jwt-svid";
import { formatTrustBundle, parseTrustBundle } from "@countersign/sdk/verify/trust-bundle";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import type { VerifySignature } from "@countersign/sdk/verify/x509-signature";
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { createSignatureVerifier } from "../../src/svid/verify-signature.ts";
import { bundleOf, makeAuthority } from "../svid/pki.ts";

const id = "spiffe://example.org/agent/one";
const nowSeconds = 1_800_000_000;
type Pair = { readonly privateKey: CryptoKey; readonly authority: JwtAuthority };
let own: Pair;
let foreign: Pair;
let rsa: Pair;
let edwards: Pair;

async function pair(alg: string, kid: string): Promise<Pair> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { privateKey, authority: { ...(await exportJWK(publicKey)), kid } as JwtAuthority };
}

beforeAll(async () => {
  own = await pair("ES256", "k1");
  // The same name for another key: whose it is decides, and not what it is called.
  foreign = await pair("ES256", "k1");
  rsa = await pair("RS256", "k2");
  edwards = await pair("EdDSA", "k3");
});

const claims = { sub: id, aud: ["https://issuer.example"], exp: nowSeconds + 300, iat: nowSeconds };

function sign(
  { privateKey }: Pair,
  payload: Record<string, unknown> = claims,
  header: Record<string, unknown> = {},
): Promise<string> {
  return new SignJWT(payload).setProtectedHeader({ alg: "ES256", kid: "k1", ...header }).sign(privateKey);
}

let verifySignature: VerifySignature | undefined;

function verify(token: string, audience = "https://issuer.example") {
  const bundles = [
    bundleOf("example.org", [], [own.authority, rsa.authority, edwards.authority]),
    bundleOf("other.example", [], [foreign.authority]),
  ];
  const deps = {
    bundleOf: (trustDomain: string) => bundles.find((bundle) => bundle.trustDomain === trustDomain),
    now: () => nowSeconds * 1000,
    ...(verifySignature && { verifySignature }),
  };
  return verifyJwtSvid(deps, token, { audience });
}

async function refusal(token: string, audience?: string): Promise<string> {
  try {
    await verify(token, audience);
    return "accepted";
  } catch (error) {
    if (error instanceof VerificationError) return error.code;
    throw error;
  }
}

const byOpenSsl = createSignatureVerifier();

describe.each([
  ["by WebCrypto", undefined],
  ["by what its verifier brings", byOpenSsl],
])("a JWT-SVID, verified %s,", (_, verifier) => {
  beforeAll(() => {
    verifySignature = verifier;
  });

  it("[SPF-006] is accepted when its own trust domain's key signed it, of whichever type the header says", async () => {
    expect((await verify(await sign(own))).spiffeId).toBe(id);
    for (const typ of ["JWT", "JOSE"])
      expect(await refusal(await sign(own, claims, { typ }))).toBe("accepted");
    expect(await refusal(await sign(rsa, claims, { alg: "RS256", kid: "k2" }))).toBe("accepted");
    expect(await refusal(await sign(own, { ...claims, aud: "https://issuer.example" }))).toBe("accepted");
  });

  it("[SPF-006] of one trust domain is never verified by another's key, though it has the same name", async () => {
    expect(await refusal(await sign(foreign))).toBe("signature_invalid");
    expect(await refusal(await sign(own, { ...claims, sub: "spiffe://third.example/a" }))).toBe(
      "issuer_unknown",
    );
    expect(await refusal(await sign(own, claims, { kid: "k9" }))).toBe("key_unknown");
    expect(await refusal(await sign(own, claims, { kid: undefined }))).toBe("key_unknown");
  });

  it("[SPF-007] is no access token, and no token is one that says so", async () => {
    for (const typ of ["at+jwt", "jwt", "dpop+jwt", "oauth-id-jag+jwt"])
      expect(await refusal(await sign(own, claims, { typ }))).toBe("type_not_accepted");
  });

  it("[SPF-006] is signed by an algorithm that the specification names, with a key for it", async () => {
    expect(await refusal(await sign(edwards, claims, { alg: "EdDSA", kid: "k3" }))).toBe(
      "algorithm_not_accepted",
    );
    expect(await refusal(await sign(own, claims, { kid: "k2" }))).toBe("algorithm_not_accepted");
    const unsigned = `${Buffer.from('{"alg":"none","kid":"k1"}').toString("base64url")}.e30.`;
    expect(await refusal(unsigned)).toBe("algorithm_not_accepted");
    const secret = new TextEncoder().encode(JSON.stringify(own.authority).padEnd(64));
    const mac = new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: "k1" });
    expect(await refusal(await mac.sign(secret))).toBe("algorithm_not_accepted");
  });

  it("[SPF-006] has no other member in its header", async () => {
    for (const header of [{ jku: "https://evil.example" }, { jwk: own.authority }, { cty: "JWT" }])
      expect(await refusal(await sign(own, claims, header))).toBe("malformed");
  });

  it("[SPF-006] is meant for who verifies it, now, and names a SPIFFE ID with a path", async () => {
    expect(await refusal(await sign(own), "https://other.example")).toBe("audience_mismatch");
    expect(await refusal(await sign(own), "")).toBe("audience_mismatch");
    expect(await refusal(await sign(own, { ...claims, aud: undefined }))).toBe("claims_invalid");
    expect(await refusal(await sign(own, { ...claims, aud: [] }))).toBe("audience_mismatch");
    expect(await refusal(await sign(own, { ...claims, exp: nowSeconds - 6 }))).toBe("expired");
    expect(await refusal(await sign(own, { ...claims, exp: undefined }))).toBe("claims_invalid");
    expect(await refusal(await sign(own, { ...claims, nbf: nowSeconds + 60 }))).toBe("not_yet_valid");
    for (const sub of [
      "spiffe://example.org",
      "spiffe://EXAMPLE.org/a",
      "spiffe://example.org/a/",
      "alice",
      7,
      undefined,
    ])
      expect(await refusal(await sign(own, { ...claims, sub }))).toBe("claims_invalid");
  });

  it("[SPF-006] is refused whatever else it is, and never fails in another way", async () => {
    for (const text of [
      "",
      "a.b",
      "a.b.c",
      ".e30.",
      "e30.e30.e30.e30.e30",
      "\0",
      "é.é.é",
      "x".repeat(20_000),
    ])
      expect(await refusal(text)).not.toBe("accepted");
  });
});

describe("an ES256 signature", () => {
  it("[SPF-006] is verified as a certificate's is, whatever its numbers begin with, and no other is", async () => {
    const seen = new Set<number>();
    for (let serial = 0; seen.size < 3; serial++) {
      const token = await sign(own, { ...claims, serial });
      const signed = es256Signature(token, "ES256", own.authority);
      if (signed === undefined) throw new Error("a token was not taken");
      expect(byOpenSsl(signed)).toBe(true);
      expect(byOpenSsl({ ...signed, message: Buffer.from("another") })).toBe(false);
      seen.add(signed.signature.length);
    }
    const token = await sign(own);
    expect(es256Signature(token, "ES384", own.authority)).toBeUndefined();
    expect(es256Signature(token, "ES256", rsa.authority)).toBeUndefined();
    expect(es256Signature(`${token}.`, "ES256", own.authority)).toBeUndefined();
    expect(es256Signature(token, "ES256", { ...own.authority, key_ops: ["sign"] })).toBeUndefined();
    expect(es256Signature(token, "ES256", { ...own.authority, use: "enc" })).toBeUndefined();
  });
});

describe("a trust bundle", () => {
  const trustDomain = "example.org" as TrustDomain;
  const root = makeAuthority("example.org");

  it("[SPF-008] is read back as it was published, X.509 authorities without a kid, and each key with its use", () => {
    const bundle = {
      ...bundleOf("example.org", [root], [own.authority]),
      sequence: 7,
      refreshHintSeconds: 300,
    };
    const document = formatTrustBundle(bundle);
    expect(document).toMatchObject({
      keys: [
        {
          use: "x509-svid",
          kty: "EC",
          crv: "P-256",
          x5c: [Buffer.from(root.certificate).toString("base64")],
        },
        { use: "jwt-svid", kid: "k1" },
      ],
      spiffe_sequence: 7,
      spiffe_refresh_hint: 300,
    });
    expect(document.keys[0]).not.toHaveProperty("kid");
    const read = parseTrustBundle(trustDomain, JSON.parse(JSON.stringify(document)));
    expect(read.x509Authorities.map((der) => Buffer.from(der))).toEqual([Buffer.from(root.certificate)]);
    expect({ ...read, x509Authorities: [] }).toEqual({ ...bundle, x509Authorities: [] });
  });

  it("[SPF-008] is read over what is not known in it, and not at all where an authority can't be", () => {
    const known = formatTrustBundle(bundleOf("example.org", [root], [own.authority]));
    const x5c = known.keys[0]?.x5c ?? [];
    const odd = {
      ...known,
      more: true,
      keys: [
        ...known.keys,
        { kty: "EC", use: "wit-svid", kid: "w" },
        { kty: "AKP", use: "jwt-svid", kid: "pq" },
        { kty: "EC", use: "jwt-svid" },
        { kty: "EC", use: "x509-svid" },
        { kty: "EC", use: "x509-svid", x5c: [...x5c, "ignored"] },
      ],
    };
    const read = parseTrustBundle(trustDomain, odd);
    expect([read.x509Authorities.length, read.jwtAuthorities.length]).toEqual([2, 1]);
    for (const document of [
      null,
      [],
      { keys: {} },
      { keys: [{ kty: "EC", use: "x509-svid", x5c: ["!"] }] },
      { keys: [{ kty: "EC", use: "x509-svid", x5c: ["AAAA"] }] },
      { keys: [], spiffe_sequence: -1 },
    ]) {
      expect(() => parseTrustBundle(trustDomain, document)).toThrow(VerificationError);
    }
  });
});
