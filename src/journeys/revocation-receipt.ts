import type { LedgerPosition } from "@countersign/sdk/contract/fields";
import type { RevocationReceiptClaims } from "@countersign/sdk/contract/revocation-receipt";
import { logOf } from "@countersign/sdk/model/ids";
import { toBase64 } from "@countersign/sdk/tlog/base64";
import { digestReach } from "@countersign/sdk/verify/reach-digest";
import type { Reach, Revocation } from "../domain/revocation.ts";
import { sha256 } from "../ledger/sha256.ts";
import type { Write } from "../store/write.ts";
import { type ReachItemsDeps, reachItems } from "./reach-items.ts";

export interface ReceiptDeps extends ReachItemsDeps {
  readonly issuer: string;
  readonly now: () => number;
  /** Signs receipts, and nothing else. */
  readonly signReceipt: (claims: RevocationReceiptClaims) => string;
}

/** What was revoked, where that is recorded, and how far it reached. */
export interface RevocationReceipt {
  readonly revoked: Pick<Revocation, "kind" | "id">;
  readonly ledger: LedgerPosition;
  /** Size of the log with the revocation in it: nothing at this index or beyond rests on what was revoked. */
  readonly treeSize: number;
  readonly reach: Reach;
  /** Complete as of this time, milliseconds since the epoch. */
  readonly atMs: number;
  /** All of this, signed, with the root of the list of what was reached. */
  readonly signed: string;
}

/**
 * The signed receipt of a revocation that is committed. What it reached is what was made before it, read from rows that
 * never change: however often it is made, it says the same but for the time of its making.
 */
export async function receiptOf(deps: ReceiptDeps, revocation: Revocation): Promise<RevocationReceipt> {
  const { organization, kind, id, index, revokedAtMs } = revocation;
  const reach = await digestReach(reachItems(deps, revocation), id, sha256);
  const ledger = { log: logOf(organization), index };
  const treeSize = index + 1;
  const signed = deps.signReceipt({
    iss: deps.issuer,
    iat: Math.floor(deps.now() / 1000),
    org: organization,
    revoked: { kind, id },
    ledger,
    tree_size: treeSize,
    counts: reach.counts,
    reach_root: toBase64(reach.root),
    reach_size: reach.size,
    complete_as_of: new Date(revokedAtMs).toISOString(),
  });
  return { revoked: { kind, id }, ledger, treeSize, reach: reach.counts, atMs: revokedAtMs, signed };
}

/** What comes to stand with the end of some authority, for those who follow revocations. */
export function revocationWrite({ organization, kind, id, revokedAtMs }: Omit<Revocation, "index">): Write {
  const row = { organization_id: organization, kind, node_id: id, revoked_at: new Date(revokedAtMs) };
  return { into: "revocation", row };
}
