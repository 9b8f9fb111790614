import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import { claimsHash } from "@countersign/sdk/contract/claims-hash";
import type { LedgerPosition } from "@countersign/sdk/contract/fields";
import type { LedgerDecision } from "@countersign/sdk/contract/ledger-entry";
import { newId, type TokenId, type TransactionId } from "@countersign/sdk/model/ids";
import { sha256 } from "../../ledger/sha256.ts";
import { plainRefusal, type Refusal } from "../record/refusal.ts";

/** How long an access token lives at the most. */
export const tokenLifetimeSeconds = 300;

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

/** In UTF-8. Signed, they are under 14 KiB: with its proof a token fits in the 16 KiB of headers that servers take. */
const claimsBytesMax = 10_000;

/** Why these claims make no token; undefined: they do. One that verifiers find too long could not even be revoked. */
export function sizeRefusal(claims: AccessTokenClaims): Refusal | undefined {
  if (Buffer.byteLength(JSON.stringify(claims)) <= claimsBytesMax) return undefined;
  return plainRefusal(
    "invalid_request",
    "the token would be too long: ask for fewer scopes, or for shorter authorization_details",
  );
}

/** What a decision obliges to, for the token's audience to see to. */
export function obligationsClaim({
  obligations,
}: Pick<LedgerDecision, "obligations">): Pick<AccessTokenClaims, "obligations"> {
  return obligations === undefined ? {} : { obligations };
}

/** SHA-256 of the canonical claims, which the entry holds: a token signed without its entry is foreign to the log. */
export function hashOfClaims(claims: AccessTokenClaims): string {
  return claimsHash(claims, sha256);
}
