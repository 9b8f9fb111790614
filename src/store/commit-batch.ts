import type { BudgetUnit } from "@countersign/sdk/model/budget";
import type { LogId } from "@countersign/sdk/model/ids";
import { type BatchStatement, statementFor } from "./batch-statement.ts";
import type { Database } from "./database.ts";
import type { Condition, Write } from "./write.ts";
import { placedTables } from "./write-tables.ts";

/** Entries and the rows they imply, to be committed as one or not at all. */
export interface Batch {
  readonly log: LogId;
  /** In order, each with its rows; each takes the index after the one before it. */
  readonly entries: readonly {
    readonly entry: string;
    readonly leafHash: Uint8Array;
    readonly writes: readonly Write[];
  }[];
  readonly conditions: readonly Condition[];
  /** When it is committed: asked once the head is known to stand, so that nothing before it in the log is later. */
  readonly at: () => Date;
}

/** Where the committer believes the log's head to be. */
export interface KnownHead {
  /** The index that the first entry must take, or undefined when it must be asked for. */
  readonly expected: bigint | undefined;
  /** No head below this was ever seen: a smaller one means that the database has gone back in time. */
  readonly atLeast: bigint;
}

/** What a delegation has left of one unit. */
export interface BudgetLeft {
  readonly of: string;
  readonly unit: BudgetUnit;
  readonly left: number;
}

/** A condition that does not hold: all of it, its tenure only, or only that an Agent was not stopped. */
export interface Failing {
  readonly condition: Condition;
  readonly what: "all" | "tenure" | "stopped";
}

export type BatchOutcome =
  /** With what is left of each budget that was spent from. */
  | { readonly kind: "committed"; readonly firstIndex: bigint; readonly left: readonly BudgetLeft[] }
  /** Some conditions do not hold, or not enough is left for all that would be spent: nothing was written. */
  | { readonly kind: "failed"; readonly failed: readonly Failing[]; readonly short: readonly BudgetLeft[] }
  /** Another process moved the head: nothing was written. */
  | { readonly kind: "moved" }
  | { readonly kind: "unknown-log" }
  | { readonly kind: "behind"; readonly nextIndex: bigint };

interface BatchRow {
  readonly first_index: bigint | null;
  readonly next_index: bigint | null;
  /** The place among the conditions, from 1 on. */
  readonly failed: readonly { readonly place: number; readonly what: Failing["what"] }[] | null;
  readonly short: readonly BudgetLeft[] | null;
  readonly left: readonly BudgetLeft[] | null;
}

/**
 * Commits a batch in one statement: the conditions are read, the head of the log is moved by compare-and-set, and
 * entries and rows are inserted only if it moved.
 *
 * Why the conditions can't miss a revocation: every change of a status or a budget goes through this function and moves
 * the head of its log. The expected head was read before this statement's snapshot was taken; if the head still stands
 * there when its row is locked, no change was committed in between. With no expected head, the row is locked by a
 * statement of its own first, so that the snapshot of the second is younger than the lock, and so is the time that it
 * writes: a stop must not be earlier than what others had issued while this waited for the lock.
 */
export async function commitBatch(db: Database, batch: Batch, head: KnownHead): Promise<BatchOutcome> {
  const placed = batch.entries.flatMap(({ writes }, place) => writes.map((write) => ({ write, place })));
  const statement = statementFor({ writes: placed.map(({ write }) => write), conditions: batch.conditions });
  const run = (on: Runner) =>
    on.$queryRawUnsafe<BatchRow[]>(statement.sql, ...parametersOf(batch, placed, head, statement));
  const rows =
    head.expected === undefined
      ? await db.prisma.$transaction(
          async (tx) => {
            await lockHead(tx, batch.log);
            return run(tx);
          },
          { timeout: lockedMsMax },
        )
      : await run(db.prisma);
  return outcomeOf(rows[0], batch, head);
}

type Runner = Pick<Database["prisma"], "$queryRawUnsafe">;

/** More than its two statements may take, so that the database is the one that ends them. */
const lockedMsMax = 30_000;

function lockHead(on: Runner, log: LogId): Promise<unknown> {
  return on.$queryRawUnsafe("SELECT 1 FROM log WHERE id = $1 FOR UPDATE", log);
}

function outcomeOf(row: BatchRow | undefined, { conditions }: Batch, head: KnownHead): BatchOutcome {
  if (row === undefined || row.next_index === null) return { kind: "unknown-log" };
  if (row.first_index !== null)
    return { kind: "committed", firstIndex: row.first_index, left: row.left ?? [] };
  if (row.next_index < head.atLeast) return { kind: "behind", nextIndex: row.next_index };
  if (row.failed === null && row.short === null) return { kind: "moved" };
  const failed = (row.failed ?? []).flatMap(({ place, what }) => {
    const condition = conditions[place - 1];
    return condition === undefined ? [] : [{ condition, what }];
  });
  return { kind: "failed", failed, short: row.short ?? [] };
}

/** A write, and which entry of the batch it came with. */
interface PlacedWrite {
  readonly write: Write;
  readonly place: number;
}

/** In the order in which batch-statement numbers them. */
function parametersOf(
  batch: Batch,
  placed: readonly PlacedWrite[],
  head: KnownHead,
  statement: BatchStatement,
): unknown[] {
  const writes = placed.map(({ write }) => write);
  const at = batch.at();
  const entries = batch.entries.map(({ entry, leafHash }, i) => ({
    i,
    entry,
    leaf: Buffer.from(leafHash).toString("base64"),
  }));
  const parameters: unknown[] = [
    batch.log,
    JSON.stringify(entries),
    batch.entries.length,
    head.expected ?? null,
    head.atLeast,
  ];
  if (statement.checks) parameters.push(JSON.stringify(batch.conditions));
  if (statement.spends) parameters.push(JSON.stringify(sumsOf(writes)));
  if (statement.refunds) parameters.push(JSON.stringify(refundsOf(writes)));
  if (statement.settles) parameters.push(JSON.stringify(settlesOf(writes)));
  if (statement.transfers) parameters.push(JSON.stringify(transfersOf(writes, at)));
  if (statement.consents) parameters.push(JSON.stringify(consentsOf(writes)));
  for (const table of statement.inserts) {
    const bearsPlace = placedTables.has(table);
    const rows = placed.flatMap(({ write, place }) => {
      if (!("into" in write) || write.into !== table) return [];
      return [bearsPlace ? { ...write.row, place } : write.row];
    });
    parameters.push(JSON.stringify(rows));
  }
  for (const table of statement.transitions) {
    const rows = writes.flatMap((write) => ("set" in write && write.set === table ? [write] : []));
    parameters.push(JSON.stringify(rows.map(({ id, to, joins }) => ({ ...joins, id, to, at }))));
  }
  return parameters;
}

/** What a batch spends of each budget in all: a statement changes a row once only. */
function sumsOf(writes: readonly Write[]): { of: string; unit: BudgetUnit; amount: number }[] {
  const sums = new Map<string, { of: string; unit: BudgetUnit; amount: number }>();
  for (const write of writes) {
    if (!("spend" in write)) continue;
    const { spend: unit, of, amount } = write;
    const key = `${of} ${unit}`;
    sums.set(key, { of, unit, amount: amount + (sums.get(key)?.amount ?? 0) });
  }
  return [...sums.values()];
}

function transfersOf(writes: readonly Write[], at: Date): object[] {
  return writes.flatMap((write) =>
    "transfer" in write ? [{ id: write.transfer, tenure: write.tenure, to: write.to, at }] : [],
  );
}

function consentsOf(writes: readonly Write[]): object[] {
  return writes.flatMap((write) => ("consent" in write ? [{ id: write.consent, to: write.to }] : []));
}

function refundsOf(writes: readonly Write[]): { id: string }[] {
  return writes.flatMap((write) => ("refund" in write ? [{ id: write.refund }] : []));
}

function settlesOf(writes: readonly Write[]): object[] {
  return writes.flatMap((write) =>
    "settle" in write ? [{ id: write.settle, unit: write.unit, used: write.used }] : [],
  );
}
