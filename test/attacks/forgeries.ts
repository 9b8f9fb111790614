import { createHmac, createPublicKey, sign as signWith } from "node:crypto";
import type { PrivateJwk } from "@countersign/sdk/client/key-pair";
import { encoded, type IssuerSigner } from "./stage.ts";

/** The half of a key that may be shown. */
export function publicHalf({ d: _, ...jwk }: PrivateJwk) {
  return jwk;
}

/** A JWT of any header, signed with this key unless something else is put in the place of its signature. */
export function jwtBy(
  key: PrivateJwk,
  header: object,
  claims: unknown,
  signature?: (input: string) => Buffer | string,
): string {
  const input = `${encoded(header)}.${encoded(claims)}`;
  const signer = { key: { ...key }, format: "jwk", dsaEncoding: "ieee-p1363" } as const;
  const signed = signature?.(input) ?? signWith("sha256", Buffer.from(input), signer);
  return `${input}.${typeof signed === "string" ? signed : signed.toString("base64url")}`;
}

/** JWTs that the issuer did not sign, though each says so: an attacker with a key of their own made them. */
export function forgeries(
  { kid, publicJwk }: IssuerSigner,
  own: PrivateJwk,
  claims: object,
): readonly string[] {
  const known = { alg: "ES256", typ: "at+jwt", kid };
  const jwt = (header: object, signature?: (input: string) => Buffer | string) =>
    jwtBy(own, header, claims, signature);
  const jwk = publicHalf(own);
  const evil = "https://evil.example/keys";
  const kids = [
    "../../../dev/null",
    "/etc/passwd",
    "' OR '1'='1",
    `${kid}' --`,
    `${kid}\0`,
    "",
    "*",
    "__proto__",
  ];
  const unsigned = `${encoded(known)}.${encoded(claims)}`;
  return [
    ...["none", "None", "NONE", "nOnE", ""].map((alg) => jwt({ ...known, alg }, () => "")),
    jwt({ ...known, alg: "none" }),
    ...hmacs(publicJwk, known, claims, own),
    ...["RS256", "PS256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519"].map((alg) =>
      jwt({ ...known, alg }),
    ),
    jwt(known),
    jwt({ ...known, kid: undefined }),
    // A signature of r = s = 0, which a careless verifier takes for anybody's.
    jwt(known, () => Buffer.alloc(64)),
    jwt(known, () => Buffer.alloc(64, 255)),
    jwt(known, () => ""),
    jwt({ ...known, jwk }),
    jwt({ ...known, jwk, kid: undefined }),
    jwt({ ...known, jku: evil, x5u: evil }),
    jwt({ ...known, x5c: ["MIIB"], "x5t#S256": "x" }),
    jwt({ ...known, crit: ["exp"] }),
    jwt({ ...known, b64: false, crit: ["b64"] }),
    ...[...kids, own.kid, { $ne: 1 }, [kid], 1].map((other) => jwt({ ...known, kid: other })),
    unsigned,
    `${unsigned}.AA.AA.AA`,
    JSON.stringify({ protected: encoded(known), payload: encoded(claims), signature: "AA" }),
  ];
}

/** HMACs by what anybody knows of the issuer's key, in each form that a verifier might keep it in. */
function hmacs(publicJwk: IssuerSigner["publicJwk"], known: object, claims: object, own: PrivateJwk) {
  const spki = createPublicKey({ key: { ...publicJwk }, format: "jwk" });
  const secrets = [
    JSON.stringify(publicJwk),
    spki.export({ type: "spki", format: "pem" }).toString(),
    spki.export({ type: "spki", format: "der" }),
    Buffer.from(`${publicJwk.x}${publicJwk.y}`, "base64url"),
    "",
  ];
  return ["HS256", "HS384", "HS512"].flatMap((alg) =>
    secrets.map((secret) =>
      jwtBy(own, { ...known, alg }, claims, (input) =>
        createHmac(`sha${alg.slice(2)}`, secret)
          .update(input)
          .digest(),
      ),
    ),
  );
}

/** What the issuer's own key signed as another thing, or in another's name, as a mistake of ours might. */
export function misused({ sign }: IssuerSigner, claims: Record<string, unknown>): readonly string[] {
  const types = [
    "JWT",
    "jwt",
    "dpop+jwt",
    "token-introspection+jwt",
    "secevent+jwt",
    "at+jwt2",
    "",
    undefined,
  ];
  const iss = String(claims["iss"]);
  const seconds = Math.floor(Date.now() / 1000);
  const signed = (changes: object) => sign({ ...claims, ...changes });
  return [
    ...types.map((typ) => sign(claims, { typ })),
    ...[`${iss}/`, iss.replace("127.0.0.1", "localhost"), iss.toUpperCase(), "", undefined, [iss]].map(
      (other) => signed({ iss: other }),
    ),
    ...[[claims["aud"]], [claims["aud"], "https://x.example/"], "", undefined, "*"].map((aud) =>
      signed({ aud }),
    ),
    ...[seconds - 1, 0, -1, undefined, "9999999999", 1e300].map((exp) => signed({ exp })),
    ...[seconds + 3600, undefined].map((iat) => signed({ iat })),
    signed({ nbf: seconds + 3600 }),
    ...["client_id", "jti", "sub", "txn", "org"].map((name) => signed({ [name]: undefined })),
  ];
}
