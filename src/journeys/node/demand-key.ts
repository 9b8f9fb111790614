import type { LedgerEntryType } from "@countersign/sdk/contract/ledger-entry";
import { isP256PublicKey } from "../../svid/key-pair.ts";
import { type RecordDeps, refuse, type Trail } from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";

/**
 * A key that a node sends to have certified is a key on our curve, and nothing but that.
 *
 * @throws DomainError `invalid_request`, which is recorded
 */
export async function demandKey(
  deps: Pick<RecordDeps, "recordRefusal">,
  refusedAs: LedgerEntryType,
  trail: Trail,
  publicKey: Uint8Array,
): Promise<void> {
  if (!isP256PublicKey(publicKey)) throw await refuse(deps, refusedAs, trail, "key", noKey);
}

const noKey = plainRefusal("invalid_request", "public_key: must be a SubjectPublicKeyInfo on P-256");
