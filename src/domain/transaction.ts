import { idTimeMs, parseId, type TransactionId } from "@countersign/sdk/model/ids";

const lifetimeMs = 24 * 3600 * 1000;

/** When a transaction is over, in milliseconds since the epoch. */
export function transactionEndMs(txn: TransactionId): number {
  return idTimeMs(txn) + lifetimeMs;
}

/** The transaction that `text` names, or undefined when it is over, or none: no further token can belong to it. */
export function joinableTransaction(text: string, nowMs: number): TransactionId | undefined {
  const txn = parseId("transaction", text);
  return txn !== undefined && nowMs < transactionEndMs(txn) ? txn : undefined;
}
