import { createHash } from "node:crypto";
import { type LedgerDecision, ledgerDecisionSchema } from "@countersign/sdk/contract/ledger-entry";
import { canonicalJson, type JsonValue } from "@countersign/sdk/model/canonical-json";
import type { DecisionRequest } from "../domain/decision.ts";
import { decide } from "./decide.ts";
import { decideTogether } from "./decide-together.ts";
import { questionsIn } from "./decision-input.ts";
import { recordedObligations } from "./recorded-obligations.ts";
import { loadRecordedPolicy, type PolicySnapshot } from "./snapshot.ts";

/** What has to be the same again. */
export type DecisionSaid = Pick<LedgerDecision, "effect" | "rule" | "obligations">;

/** What became of one recorded decision. */
export type Replayed =
  /** `erased`: its input is there no more. */
  | { readonly is: "agreed" | "erased" }
  | { readonly is: "disagreed"; readonly expected: DecisionSaid; readonly got: DecisionSaid }
  /** It can't be made again: what it was made of is another text, another organization's, or none that this version reads. */
  | { readonly is: "unreadable"; readonly why: string };

/** One entry's decision, as far as the entry tells of it. */
export interface RecordedDecision {
  /** Of the entry. */
  readonly organization: string | undefined;
  /** Its `decision`, as it stands there. */
  readonly decision: unknown;
  /** The text of the decision's input; null once it was erased. */
  readonly input: string | null;
}

/** Makes recorded decisions again. */
export interface Replay {
  /** Takes the text of a policy that decided, before the first decision that cites it. */
  readonly takePolicy: (text: string) => void;
  readonly replay: (recorded: RecordedDecision) => Promise<Replayed>;
}

const snapshotsKept = 4;

/**
 * Makes recorded decisions again, each by the policy that it cites and from its own input, both held against the hashes in
 * the entry. It holds the texts of all policies, and the last four ready to decide by.
 */
export function createReplay(): Replay {
  const texts = new Map<string, string>();
  const snapshots = new Map<string, PolicySnapshot>();

  async function snapshotOf(hash: string): Promise<PolicySnapshot> {
    const text = texts.get(hash);
    if (text === undefined) throw new TypeError("the policy that it cites is not there");
    const snapshot = snapshots.get(hash) ?? (await loadRecordedPolicy(text));
    // The one used last stands last.
    snapshots.delete(hash);
    snapshots.set(hash, snapshot);
    for (const oldest of [...snapshots.keys()].slice(0, -snapshotsKept)) snapshots.delete(oldest);
    return snapshot;
  }

  async function replay({ organization, decision, input }: RecordedDecision): Promise<Replayed> {
    const recorded = ledgerDecisionSchema.safeParse(decision);
    if (!recorded.success) return unreadable("its decision says something that this version does not know");
    const { effect, rule, policy, obligations } = recorded.data;
    if (input === null) return { is: "erased" };
    if (sha256(input) !== recorded.data.input) return unreadable("its input is another text");
    try {
      const questions = questionsIn(input);
      if (questions.some((one) => one.organization !== organization))
        return unreadable("its input is about another organization");
      const expected = saidOf({ effect, rule, obligations });
      const got = saidOf(decideAgain(await snapshotOf(policy), questions));
      return canonicalJson(expected) === canonicalJson(got)
        ? { is: "agreed" }
        : { is: "disagreed", expected, got };
    } catch (error) {
      if (error instanceof TypeError) return unreadable(error.message);
      throw error;
    }
  }

  return { takePolicy: (text) => void texts.set(sha256(text), text), replay };
}

function decideAgain(snapshot: PolicySnapshot, questions: readonly DecisionRequest[]): DecisionSaid {
  const { decision } = decideTogether((request) => decide(snapshot, request), questions);
  const { effect, rule } = decision;
  return { effect, rule, obligations: recordedObligations(decision.obligations) };
}

/** Absent where there is none, in an entry as in what was decided. */
function saidOf({
  effect,
  rule,
  obligations,
}: DecisionSaid): DecisionSaid & { readonly [name: string]: JsonValue } {
  return { effect, rule, ...(obligations && { obligations }) };
}

function unreadable(why: string): Replayed {
  return { is: "unreadable", why };
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}
