import type { LedgerPosition } from "@countersign/sdk/contract/fields";
import type { OrganizationId } from "@countersign/sdk/model/ids";
import type { Reach } from "../domain/delegation.ts";
import type { RevocationRow, Write } from "../store/write.ts";

/** What was revoked, where that is recorded, and how far it reached. Unsigned: the proof of its entry vouches for it. */
export interface RevocationReceipt {
  readonly revoked: { readonly kind: "delegation" | "agent" | "user" | "token"; readonly id: string };
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

/** What comes to stand with the end of some authority, for those who follow revocations. */
export function revocationWrite(
  organization: OrganizationId,
  kind: RevocationRow["kind"],
  id: string,
  nowMs: number,
): Write {
  const row = { organization_id: organization, kind, node_id: id, revoked_at: new Date(nowMs) };
  return { into: "revocation", row };
}
