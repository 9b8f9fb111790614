import type { LedgerPosition } from "@countersign/sdk/contract/admin-api";
import type { Reach } from "../domain/delegation.ts";

/** What was revoked, where that is recorded, and how far it reached. Unsigned: the proof of its entry vouches for it. */
export interface RevocationReceipt {
  readonly revoked: { readonly kind: "delegation" | "agent" | "token"; readonly id: string };
  readonly ledger: LedgerPosition;
  /** Size of the log with the revocation in it: nothing at this index or beyond rests on what was revoked. */
  readonly treeSize: number;
  readonly reach: Reach;
  /** Complete as of this time, milliseconds since the epoch. */
  readonly atMs: number;
}

/** The receipt of a revocation that is committed. */
export function receiptOf(
  revoked: RevocationReceipt["revoked"],
  ledger: LedgerPosition,
  reach: Reach,
  atMs: number,
): RevocationReceipt {
  return { revoked, ledger, treeSize: ledger.index + 1, reach, atMs };
}
