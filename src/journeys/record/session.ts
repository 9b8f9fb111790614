import type { TransactionId } from "@countersign/sdk/model/ids";
import type { DelegationChain } from "../../domain/delegation-chain.ts";
import { transactionEndMs } from "../../domain/transaction.ts";
import type { Condition, Write } from "../../store/write.ts";

/**
 * What goes with every use of a delegation in a transaction: the first session whose delegation is used in it binds it,
 * and no other one's can be used in it any more. Nothing, for a delegation that is bound to no session.
 */
export function sessionBinding({ leaf: { delegation } }: DelegationChain, txn: TransactionId) {
  const { organization, session } = delegation;
  if (session === undefined) return { writes: [], conditions: [] };
  const row = { organization_id: organization, txn, session, expires_at: new Date(transactionEndMs(txn)) };
  const writes: Write[] = [{ into: "transaction_session", row }];
  const conditions: Condition[] = [{ on: "transaction_session", id: txn, session }];
  return { writes, conditions };
}
