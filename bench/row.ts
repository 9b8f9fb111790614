/** One line of the table. Times are microseconds of one request or operation. */
export interface Row {
  readonly work: string;
  /** CPU of the process that does the work, of all its cores together. */
  readonly cpuMicros: number;
  readonly ratePerSecond: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  /** CPU of the least that the work needs, measured in the same run; absent where there is nothing smaller to compare with. */
  readonly floorMicros?: number;
  /** What the design allows; absent: measured for information. */
  readonly budget?: Budget;
}

export type Budget =
  | { readonly of: "cpuMicros" | "p50Micros"; readonly most: number }
  | { readonly of: "ratePerSecond"; readonly least: number };

export type Verdict = "met" | "missed" | "no budget";

/** Each bench module exports this as `bench`. Modules run one after the other, each in a process of its own. */
export type Bench = () => Promise<readonly Row[]>;

/** Whether a row keeps its budget. */
export function verdictOf(row: Row): Verdict {
  if (row.budget === undefined) return "no budget";
  const figure = row[row.budget.of];
  const met = "most" in row.budget ? figure <= row.budget.most : figure >= row.budget.least;
  return met ? "met" : "missed";
}
