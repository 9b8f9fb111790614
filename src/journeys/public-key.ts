import { createPublicKey, hash } from "node:crypto";
import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import { type CredentialId, newId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { DomainError } from "../domain/domain-error.ts";
import type { Write } from "../store/write.ts";

/** A public key that a principal may authenticate with. */
export interface PublicKey {
  /** Only the members that make the key, `alg` and `use`; canonical JSON. */
  readonly publicJwk: string;
  /** @see RFC 7638 */
  readonly thumbprint: string;
}

const coordinate = /^[A-Za-z0-9_-]{43}$/;

/**
 * Reads a public key: EC on P-256, nothing else.
 *
 * @throws DomainError `invalid_request` for a private or secret key, another or a weak kind, a point that is not on its
 *   curve
 * @see RFC 7517; RFC 7518, section 6.2; RFC 7638, section 3
 */
export function parsePublicKey(jwk: Readonly<Record<string, unknown>>): PublicKey {
  // Even to look at a private key would be to know it.
  if (["d", "p", "q", "dp", "dq", "qi", "oth", "k"].some((member) => member in jwk)) {
    throw refusal("send the public key only; take this private key out of use");
  }
  const { kty, crv, x, y, alg = "ES256", use = "sig" } = jwk;
  if (kty !== "EC" || crv !== "P-256" || !isCoordinate(x) || !isCoordinate(y)) {
    throw refusal("the key is not EC on P-256");
  }
  if (alg !== "ES256" || use !== "sig") throw refusal("the key is not for signing with ES256");
  const members = { crv, kty, x, y };
  try {
    // Refuses a point that is not on the curve.
    const same = createPublicKey({ key: members, format: "jwk" }).export({ format: "jwk" });
    // 43 characters hold 258 bits: one key would have sixteen spellings, and a thumbprint for each.
    if (same.x !== x || same.y !== y) throw new TypeError("a coordinate is not in its one spelling");
  } catch (error) {
    throw refusal("the key is malformed", error);
  }
  return {
    publicJwk: canonicalJson({ ...members, alg, use }),
    thumbprint: hash("sha256", canonicalJson(members), "base64url"),
  };
}

/** The credential by which a principal proves itself with a key. */
export function credentialWrite(
  principal: Exclude<Principal, { readonly kind: "node" }>,
  key: PublicKey,
  nowMs: number,
  random: Uint8Array,
): Write {
  const id: CredentialId = newId("credential", nowMs, random);
  const row = {
    id,
    organization_id: principal.organization,
    principal_kind: principal.kind,
    principal_id: principal.id,
    thumbprint: key.thumbprint,
    public_jwk: key.publicJwk,
    status: "active",
    created_at: new Date(nowMs),
  } as const;
  return { into: "credential", row };
}

function isCoordinate(value: unknown): value is string {
  return typeof value === "string" && coordinate.test(value);
}

function refusal(detail: string, cause?: unknown): DomainError {
  return new DomainError("invalid_request", detail, cause);
}
