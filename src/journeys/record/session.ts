import type { TransactionId } from "@countersign/sdk/model/ids";
import type { DelegationChain } from "../../domain/delegation-chain.ts";
import { transactionEndMs } from "../../domain/transaction.ts";
import type { Condition, Write } from "../../store/write.ts";

/** What goes with every use of a delegation in a transaction. */
export interface TransactionUse {
  readonly writes: readonly Write[];
  readonly conditions: readonly Condition[];
}

/**
 * The first session whose delegation is used in a transaction binds it, and no other one's can be used in it any more. Whose
 * authority is used is kept too: an exclusive delegation goes with that of nobody else, before it or after.
 */
export function transactionUse(
  { leaf: { delegation } }: DelegationChain,
  txn: TransactionId,
): TransactionUse {
  const { organization, subject, session, exclusive = false } = delegation;
  const row = { organization_id: organization, txn, expires_at: new Date(transactionEndMs(txn)) };
  const writes: Write[] = [{ into: "transaction_subject", row: { ...row, subject_id: subject, exclusive } }];
  const conditions: Condition[] = [{ on: "transaction_subject", id: txn, subject, exclusive }];
  if (session === undefined) return { writes, conditions };
  return {
    writes: [...writes, { into: "transaction_session", row: { ...row, session } }],
    conditions: [...conditions, { on: "transaction_session", id: txn, session }],
  };
}
