import { entryEnvelopeSchema } from "@countersign/sdk/contract/entry-envelope";
import type { ExportRecord } from "@countersign/sdk/tlog/export-record";
import { z } from "zod";
import { createReplay, type RecordedDecision, type Replayed } from "./replay.ts";

/** The first decision that was not made again as it was recorded. */
export type Disagreement = Exclude<Replayed, { is: "agreed" | "erased" }> & {
  /** Of the entry. */
  readonly index: number;
};

/** What came of a log's decisions. */
export interface ReplayFindings {
  /** Decisions in the range that was asked for: each is one of the next four. */
  readonly decisions: number;
  readonly agreed: number;
  readonly disagreed: number;
  readonly unreadable: number;
  /** Their inputs are there no more. */
  readonly erased: number;
  readonly first?: Disagreement;
}

/** Replays a log while its export is read. */
export interface LogReplay {
  /** Takes the next record of an export, once it is known to be right. */
  readonly take: (record: ExportRecord) => Promise<void>;
  readonly findings: () => ReplayFindings;
}

/** Entries of a log: the first and the last. */
export interface EntryRange {
  readonly from: number;
  readonly to: number;
}

const entrySchema = entryEnvelopeSchema.extend({ organization: z.string().optional() });

/** Begins to replay the decisions of a log that stand in a range of its entries. */
export function startLogReplay({ from, to }: EntryRange): LogReplay {
  const { takePolicy, replay } = createReplay();
  const counts = { agreed: 0, disagreed: 0, unreadable: 0, erased: 0 };
  let due: (Omit<RecordedDecision, "input"> & { readonly index: number }) | undefined;
  let first: Disagreement | undefined;

  async function takeInput(input: string | null): Promise<void> {
    if (due === undefined) return;
    const { index, ...recorded } = due;
    due = undefined;
    const replayed = await replay({ ...recorded, input });
    counts[replayed.is]++;
    if (first === undefined && (replayed.is === "disagreed" || replayed.is === "unreadable"))
      first = { ...replayed, index };
  }

  async function take(record: ExportRecord): Promise<void> {
    if (record.kind === "policy") takePolicy(record.text);
    if (record.kind === "input") await takeInput(record.text);
    if (record.kind !== "entry" || record.index < from || record.index > to) return;
    const { organization, decision } = entrySchema.parse(JSON.parse(record.entry));
    due = decision && { index: record.index, organization, decision };
  }

  return {
    take,
    findings: () => {
      const decisions = Object.values(counts).reduce((sum, count) => sum + count, 0);
      return { decisions, ...counts, ...(first && { first }) };
    },
  };
}
