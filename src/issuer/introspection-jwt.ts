import type { IssuerDeps, TokenKeys } from "./issuer-deps.ts";

/** @see RFC 9701, section 4 */
export const introspectionMediaType = "application/token-introspection+jwt";

/**
 * The answer to an introspection as a JWT for its asker. It can't pass for an access token: its type is another, it has no
 * claim of one at its top, and its audience is a client, never a resource. It is no token: it
 * grants nothing and nobody can act on it, so "record, then sign" does not ask for an entry, and no guard of recorded tokens
 * stands before this signature.
 *
 * @see RFC 9701, sections 5 and 8.1
 */
export function introspectionJwt(
  { issuer, now }: Pick<IssuerDeps, "issuer" | "now">,
  { active: { kid, sign } }: TokenKeys,
  { askedBy, answer }: { readonly askedBy: string; readonly answer: object },
): string {
  const header = { alg: "ES256", typ: "token-introspection+jwt", kid };
  const claims = { iss: issuer, aud: askedBy, iat: Math.floor(now() / 1000), token_introspection: answer };
  const input = `${encoded(header)}.${encoded(claims)}`;
  return `${input}.${Buffer.from(sign(Buffer.from(input))).toString("base64url")}`;
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString("base64url");
}
