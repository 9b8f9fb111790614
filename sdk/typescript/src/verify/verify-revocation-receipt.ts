import { type JWTVerifyGetKey, jwtVerify } from "jose";
import { z } from "zod";
import {
  type RevocationReceiptClaims,
  revocationReceiptClaimsSchema,
  revocationReceiptType,
} from "../contract/revocation-receipt.ts";
import { type RevocationKind, revocationKinds } from "../model/revocation-kind.ts";
import { fromBase64 } from "../tlog/base64.ts";
import { type Sha256, sameBytes } from "../tlog/rfc6962.ts";

import { type EntryEvidence, type ProvenEntry, proveEntry, type RecordTrust } from "./proven-entry.ts";
import { digestReach } from "./reach-digest.ts";
import { VerificationError, verificationErrorOf } from "./verification-error.ts";

export interface ReceiptExpectation {
  readonly issuer: string;
  /** The issuer's public keys, by `kid`, as they were when it signed. */
  readonly keys: JWTVerifyGetKey;
}

const receiptCharsMax = 8192;

/**
 * Verifies a revocation receipt of one issuer: type, algorithm, signature and issuer before any other claim is read.
 * A receipt does not expire. That its revocation is recorded is another question, see verifyRecordedRevocation; that
 * a list is the one it speaks of, see verifyReach.
 *
 * @throws VerificationError with the first check that failed; what `keys` throws when it can't fetch keys passes.
 * @see RFC 7515; RFC 8725, section 3.11
 */
export async function verifyRevocationReceipt(
  receipt: string,
  { issuer, keys }: ReceiptExpectation,
): Promise<RevocationReceiptClaims> {
  if (receipt.length > receiptCharsMax) throw new VerificationError("malformed", "the receipt is too long");
  const options = { typ: revocationReceiptType, algorithms: ["ES256"], issuer, requiredClaims: ["iat"] };
  const { payload } = await jwtVerify(receipt, keys, options).catch((error: unknown) => {
    throw verificationErrorOf(error, "receipt");
  });
  const parsed = revocationReceiptClaimsSchema.safeParse(payload);
  if (parsed.success) return parsed.data;
  throw new VerificationError("claims_invalid", "the claims are not those of a receipt", parsed.error);
}

/**
 * Verifies that a list is all that a revocation reached: nothing left out, added, changed or in another order.
 *
 * @param receipt as verifyRevocationReceipt gave it
 * @param items the items of all pages, in order
 * @throws VerificationError `reach_mismatch`
 */
export async function verifyReach(
  receipt: RevocationReceiptClaims,
  items: AsyncIterable<unknown> | Iterable<unknown>,
  hash?: Sha256,
): Promise<void> {
  const { root, size, counts } = await digestReach(items, receipt.revoked.id, hash).catch(
    (error: unknown) => {
      if (!(error instanceof TypeError || error instanceof z.ZodError)) throw error;
      throw new VerificationError("reach_mismatch", "the list holds what is no item", error);
    },
  );
  if (size !== receipt.reach_size) {
    throw new VerificationError(
      "reach_mismatch",
      `the list has ${size} items, the receipt says ${receipt.reach_size}`,
    );
  }
  if (!sameBytes(root, fromBase64(receipt.reach_root) ?? new Uint8Array())) {
    throw new VerificationError("reach_mismatch", "the list is not the one that the receipt speaks of");
  }
  if (counts.delegations !== receipt.counts.delegations || counts.agents !== receipt.counts.agents) {
    throw new VerificationError("reach_mismatch", "the receipt does not count what its list holds");
  }
}

/** What an entry says of what it tells of, as far as it is looked at here. */
const revokingEntrySchema = z.looseObject({
  type: z.string(),
  delegation: z.string().optional(),
  target: z.looseObject({ kind: z.string(), id: z.string() }).optional(),
  jti: z.string().optional(),
});
type RevokingEntry = z.infer<typeof revokingEntrySchema>;

const stopsAgent: ReadonlySet<string> = new Set(["agent.retired", "agent.suspended", "agent.transferred"]);

/** How the entry of each kind names what was revoked. */
const revokedBy: Readonly<Record<RevocationKind, (entry: RevokingEntry) => string | undefined>> = {
  delegation: ({ type, delegation }) => (type === "delegation.revoked" ? delegation : undefined),
  agent: ({ type, target }) => (stopsAgent.has(type) ? target?.id : undefined),
  user: ({ type, target }) => (type === "user.offboarded" ? target?.id : undefined),
  token: ({ type, jti }) => (type === "token.revoked" ? jti : undefined),
};

/**
 * Verifies, offline, that a log of a trusted key holds the entry of exactly this revocation, where the receipt says.
 *
 * @throws VerificationError `entry_unproven`, `entry_unreadable`, `entry_mismatch`; TypeError when a key that the
 *   caller gave is none
 */
export async function verifyRecordedRevocation(
  { revoked, ledger }: RevocationReceiptClaims,
  evidence: EntryEvidence,
  trust: RecordTrust,
): Promise<ProvenEntry> {
  const proven = await proveEntry(evidence, trust);
  const kind = revocationKinds.find((known) => known === revoked.kind);
  if (kind === undefined) {
    throw new VerificationError("entry_unreadable", "this version does not know what was revoked");
  }
  const entry = revokingEntrySchema.safeParse(JSON.parse(evidence.entry)).data;
  const tells = entry !== undefined && revokedBy[kind](entry) === revoked.id;
  if (!tells || proven.index !== ledger.index) {
    throw new VerificationError("entry_mismatch", "the entry does not tell of this revocation");
  }
  return proven;
}
