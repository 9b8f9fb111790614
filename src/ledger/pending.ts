import { agentOfApproval } from "../domain/agent-checksum.ts";
import type { BatchOutcome, BudgetLeft, Failing } from "../store/commit-batch.ts";
import type { Condition, Failed, Spend, Write } from "../store/write.ts";
import type { Appended, AppendRequest } from "./append.ts";
import type { SealedEntry } from "./seal-entry.ts";

/** One append on its way: what to commit, and whom to tell. */
export interface Pending {
  sealed: SealedEntry;
  writes: readonly Write[];
  /** Those of the request, and those that its changes of rows imply. */
  conditions: readonly Condition[];
  readonly otherwise: AppendRequest["otherwise"];
  /** Set once its other entry is to be committed in its place. */
  failed: readonly Failed[] | undefined;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
}

const batchEntriesMax = 256;
const batchBytesMax = 4 * 1024 * 1024;

/**
 * Takes what fits into one statement. It stops before an append that depends on what an earlier one in the batch
 * changes: within one statement it would still see the old state. What gives back to budgets touches some that nobody here
 * knows, so it is alone. Nobody overtakes who must wait.
 */
export function takeBatch(queue: Pending[]): Pending[] {
  const changed = new Map<string, Change>();
  let bytes = 0;
  let count = 0;
  for (const { sealed, writes, conditions } of queue) {
    bytes += sealed.entry.length;
    const refunds = writes.some((write) => "refund" in write || "settle" in write);
    const full = count === batchEntriesMax || (count > 0 && (bytes > batchBytesMax || refunds));
    if (full || conditions.some((condition) => mustWait(condition, changed.get(rowOf(condition))))) break;
    for (const write of writes) {
      for (const change of changesOf(write)) changed.set(change.row, change);
    }
    count++;
    if (refunds) break;
  }
  return queue.splice(0, count);
}

/** What a write changes that conditions are about. */
interface Change {
  readonly row: string;
  /** Of a transaction, the session that it is bound to. */
  readonly session?: string;
  /** Of a transaction, whose authority was used in it. */
  readonly subject?: string;
}

/**
 * Whether a condition is seen otherwise once its row is changed. Who binds a transaction to one session may do so together;
 * uses of it by two sessions in turn end a batch at each change, since only the commit tells which of them is bound; and so do
 * uses of two people's authority.
 */
function mustWait(condition: Condition, change: Change | undefined): boolean {
  if (change === undefined) return false;
  if (condition.on === "transaction_subject") return change.subject !== condition.subject;
  return condition.on !== "transaction_session" || change.session !== condition.session;
}

/** The row that a condition is about: a change of another column of it counts too, since no statement changes it twice. */
function rowOf({ on, id }: Condition): string {
  return `${on} ${id}`;
}

function changesOf(write: Write): readonly Change[] {
  const implied = impliedCondition(write);
  if (implied?.on === "agent_checksum")
    return [{ row: rowOf(implied) }, { row: `approved_checksum ${agentOfApproval(implied.id)}` }];
  if (implied !== undefined) return [{ row: rowOf(implied) }];
  return "into" in write ? insertionOf(write) : [];
}

function insertionOf(write: Extract<Write, { into: string }>): readonly Change[] {
  switch (write.into) {
    case "revoked_token":
      return [{ row: `revoked_token ${write.row.jti}` }];
    case "client_profile":
      return [{ row: `client_profile ${write.row.principal_id}` }];
    case "rate_use":
      return [{ row: `rate ${write.row.id}` }];
    case "agent_checksum":
      return [{ row: `approved_checksum ${write.row.agent_id}` }];
    case "transaction_session":
      return [{ row: `transaction_session ${write.row.txn}`, session: write.row.session }];
    case "transaction_subject":
      return [{ row: `transaction_subject ${write.row.txn}`, subject: write.row.subject_id }];
    case "trusted_issuer":
      return [{ row: `tenant_claim ${write.row.kind} ${write.row.issuer} ${write.row.audience}` }];
    case "agent":
      return write.row.trusted_issuer_id === null
        ? []
        : [{ row: `agent_quota ${write.row.trusted_issuer_id}` }];
    default:
      return [];
  }
}

/** Every condition of a batch, once. */
export function distinctConditions(batch: readonly Pending[]): Condition[] {
  const distinct = new Map<string, Condition>();
  for (const { conditions } of batch) {
    for (const condition of conditions) distinct.set(conditionKey(condition), condition);
  }
  return [...distinct.values()];
}

/**
 * Which of its conditions each append of a batch fails, in the batch's order. Of those that spend from one budget the
 * first ones get what is left, as long as it suffices; who fails for another reason spends nothing.
 */
export function failuresOf(
  batch: readonly Pending[],
  { failed, short }: Extract<BatchOutcome, { kind: "failed" }>,
): readonly (readonly Failed[])[] {
  const failing = new Map(failed.map(({ condition, what }) => [conditionKey(condition), what]));
  const left = new Map(short.map((shortage) => [`${shortage.of} ${shortage.unit}`, shortage.left]));
  return batch.map(({ conditions, writes }) => {
    const own = conditions.flatMap((condition) => failedOf(condition, failing.get(conditionKey(condition))));
    const spends = writes.filter(isSpend);
    const lacking = spends.filter(({ of, spend, amount }) => (left.get(`${of} ${spend}`) ?? amount) < amount);
    if (own.length > 0 || lacking.length > 0) {
      return [...own, ...lacking.map(({ of, spend }) => ({ on: "budget", id: of, unit: spend }) as const)];
    }
    for (const { of, spend, amount } of spends) {
      const key = `${of} ${spend}`;
      const rest = left.get(key);
      if (rest !== undefined) left.set(key, rest - amount);
    }
    return [];
  });
}

function failedOf(condition: Condition, what: Failing["what"] | undefined): Failed[] {
  if (what === undefined) return [];
  if (what === "tenure" && "tenure" in condition && condition.tenure !== undefined) {
    return [{ on: "tenure", id: condition.id, tenure: condition.tenure }];
  }
  return what === "stopped" && "unstoppedSince" in condition && condition.unstoppedSince !== undefined
    ? [{ on: "stopped", id: condition.id, since: condition.unstoppedSince }]
    : [condition];
}

function conditionKey(condition: Condition): string {
  switch (condition.on) {
    case "revoked_token":
    case "agent_quota":
    case "reservation":
      return rowOf(condition);
    case "tenant_claim":
      return `${rowOf(condition)} ${condition.claim}`;
    case "transaction_session":
      return `${rowOf(condition)} ${condition.session}`;
    case "transaction_subject":
      return `${rowOf(condition)} ${condition.subject} ${condition.exclusive}`;
    case "client_profile":
      return `${rowOf(condition)} ${condition.last}`;
    case "approved_checksum":
      return `${rowOf(condition)} ${condition.checksum}`;
    case "rate":
      return `${rowOf(condition)} ${condition.times} ${condition.since}`;
    default: {
      const { status, tenure = "", unstoppedSince = "", parent = "" } = condition;
      return `${rowOf(condition)} ${status.join(",")} ${tenure} ${unstoppedSince} ${parent}`;
    }
  }
}

/** Whether somebody who could act before no longer can: a checkpoint is due at once. */
export function takesAuthority({ writes }: Pending): boolean {
  return writes.some((write) =>
    "set" in write
      ? write.set !== "signing_key"
      : "transfer" in write ||
        ("into" in write && (write.into === "revoked_token" || write.into === "agent_checksum")),
  );
}

/** That a row is still as the change of it expects; undefined for what only comes to stand, and for budgets. */
export function impliedCondition(write: Write): Condition | undefined {
  if ("set" in write) return { on: write.set, id: write.id, status: write.from };
  if ("transfer" in write) {
    return { on: "agent", id: write.transfer, status: ["active", "suspended"], tenure: write.tenure };
  }
  return "consent" in write
    ? { on: "delegation", id: write.consent, status: ["active"], tenure: write.from }
    : undefined;
}

/** Whether an append takes something from this budget. */
export function spendsFrom({ writes }: Pending, { of, unit }: BudgetLeft): boolean {
  return writes.some((write) => isSpend(write) && write.of === of && write.spend === unit);
}

/** What takes from a budget. */
export function isSpend(write: Write): write is Spend {
  return "spend" in write;
}
