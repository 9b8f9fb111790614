import { hash } from "node:crypto";
import type { LogId } from "@countersign/sdk/model/ids";
import { readEntries } from "../store/ledger-entries.ts";
import { readDecisionInputs } from "../store/ledger-evidence.ts";
import { findLog } from "../store/logs.ts";
import { decisionOf, type ExportDeps } from "./export.ts";

/** A decision that a log tells of. */
export interface RecordedDecision {
  readonly index: number;
  /** The text of its input, which has the hash that the entry names; undefined when it was erased, or is another. */
  readonly input: string | undefined;
}

const entriesAtOnce = 512;
/** Entries that are looked through: what is before them is not among the last. */
const entriesMax = 100_000;

/** The last decisions of an organization's log, newest first, those that no checkpoint covers yet among them. */
export async function* lastDecisions(
  { db, openInput }: ExportDeps,
  id: LogId,
  count: number,
): AsyncGenerator<RecordedDecision> {
  const log = await findLog(db, id);
  if (log?.organization === undefined) return;
  const first = Math.max(0, log.nextIndex - entriesMax);
  let left = count;
  for (let to = log.nextIndex; to > first && left > 0; to -= entriesAtOnce) {
    const entries = await readEntries(db, id, Math.max(first, to - entriesAtOnce), to);
    const decisions = entries
      .flatMap((entry) => {
        const decision = decisionOf(entry);
        return decision === undefined ? [] : [{ index: entry.index, inputHash: decision.input }];
      })
      .reverse()
      .slice(0, left);
    const hashes = decisions.map(({ inputHash }) => inputHash);
    const inputs = await readDecisionInputs(db, log.organization, hashes);
    for (const { index, inputHash } of decisions) {
      const sealed = inputs.get(inputHash);
      const text = sealed && (await openInput(sealed));
      yield { index, input: text && hash("sha256", text, "base64url") === inputHash ? text : undefined };
    }
    left -= decisions.length;
  }
}
