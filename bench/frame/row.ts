import type { Closing } from "../../src/app/closing.ts";

/** What was measured of one request or operation. Times are microseconds. */
export interface Figures {
  /** CPU of all that does the work, on all cores together: of the server and of its PostgreSQL. */
  readonly cpuMicros: number;
  /** How much of that is the server's own process; absent where no PostgreSQL takes part. */
  readonly serverCpuMicros?: number;
  readonly ratePerSecond: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
}

/** One line of the table. What does not apply to the work is absent. */
export interface Row extends Partial<Figures> {
  readonly work: string;
  /** Proportional share of the memory of all processes that do the work. */
  readonly memoryMiB?: number;
  /** The least that the work could cost on this machine, measured in the same run. */
  readonly floor?: Partial<Figures> & { readonly memoryMiB?: number };
  /** What the design allows: all of it must hold. None: measured for information. */
  readonly budgets?: readonly Budget[];
}

export type Budget =
  | { readonly of: "cpuMicros" | "p50Micros" | "memoryMiB"; readonly most: number }
  | { readonly of: "ratePerSecond"; readonly least: number };

export type Verdict = "met" | "missed" | "no budget";

/** A row as it is reported. */
export interface JudgedRow extends Row {
  /** How many times the floor the work costs: in CPU, or in time or memory where the floor is known in that only. */
  readonly floorRatio?: number;
  readonly verdict: Verdict;
}

/**
 * Each bench module exports this as `bench`. Modules run one after the other, each in a process of its own.
 *
 * @param closing takes what must be stopped and removed in the end, whatever happens on the way
 */
export type Bench = (closing: Closing) => Promise<readonly Row[]>;

/** Holds a row against its budgets and its floor. */
export function judge(row: Row): JudgedRow {
  const compared = (["cpuMicros", "p50Micros", "memoryMiB"] as const).find(
    (of) => row.floor?.[of] !== undefined,
  );
  const [figure, floor] = compared === undefined ? [] : [row[compared], row.floor?.[compared]];
  return {
    ...row,
    ...(figure !== undefined && floor !== undefined && { floorRatio: figure / floor }),
    verdict: verdictOf(row),
  };
}

function verdictOf(row: Row): Verdict {
  if (row.budgets === undefined) return "no budget";
  const isMet = (budget: Budget) => {
    const figure = row[budget.of] ?? Number.NaN;
    return "most" in budget ? figure <= budget.most : figure >= budget.least;
  };
  return row.budgets.every(isMet) ? "met" : "missed";
}
