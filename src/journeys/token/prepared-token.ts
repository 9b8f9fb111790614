import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import { canonicalJson, type JsonValue } from "@countersign/sdk/model/canonical-json";
import { newId, type TokenId, type TransactionId } from "@countersign/sdk/model/ids";
import { claimsHash } from "../../ledger/seal-entry.ts";
import type { LedgerPosition } from "../record.ts";

/** How long an access token lives at the most. */
export const tokenLifetimeSeconds = 300;

/** The key that the presenter proved to hold: by DPoP (RFC 9449) or by its certificate (RFC 8705). */
export type Confirmation = { readonly jkt: string } | { readonly "x5t#S256": string };

/** What was recorded and may now be signed: exactly these claims. */
export interface PreparedToken {
  readonly claims: AccessTokenClaims;
  readonly ledger: LedgerPosition;
}

/** The ids of a token to be, and of its transaction. */
export function newTokenIds(
  { randomBytes }: { readonly randomBytes: (size: number) => Uint8Array },
  nowMs: number,
): { readonly jti: TokenId; readonly txn: TransactionId } {
  const random = randomBytes(32);
  return { jti: newId("token", nowMs, random), txn: newId("transaction", nowMs, random.subarray(16)) };
}

/** `iat` and `exp`, in whole seconds; `exp` never lies behind the end of what the token rests on. */
export function tokenTimes(nowMs: number, endsAtMs: number): { readonly iat: number; readonly exp: number } {
  return { iat: Math.floor(nowMs / 1000), exp: Math.floor(endsAtMs / 1000) };
}

/** SHA-256 of the canonical claims, which the entry holds: a token signed without its entry is foreign to the log. */
export function hashOfClaims(claims: AccessTokenClaims): string {
  // Claims are made of JSON values; their schema says `unknown` of members that it does not know.
  return claimsHash(canonicalJson(claims as JsonValue));
}
