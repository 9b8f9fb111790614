import type { OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { DecisionRequest } from "../../domain/decision.ts";
import type { RecordedDecision } from "../../ledger/last-decisions.ts";
import { questionsIn } from "../../policy/decision-input.ts";
import { type Comparison, compareOn } from "../../policy/flips.ts";
import type { PolicySnapshot } from "../../policy/snapshot.ts";
import { demandOperator, type RecordDeps, type RequestContext, refuse, trailOf } from "../record/record.ts";
import { type FitPolicyDeps, fitPolicy } from "./fit.ts";

export interface PreviewPolicyDeps extends FitPolicyDeps, Pick<RecordDeps, "recordRefusal"> {
  readonly currentPolicy: (organization: OrganizationId) => PolicySnapshot;
  /** Newest first. */
  readonly lastDecisions: (organization: OrganizationId, count: number) => AsyncIterable<RecordedDecision>;
}

export interface PreviewPolicyRequest {
  /** An operator. */
  readonly caller: Principal;
  /** The lines. */
  readonly source: string;
  /** How many decisions to look back upon. */
  readonly last: number;
  readonly context: RequestContext;
}

/** A decision that a policy would have made otherwise than the one in force now. */
export interface Flip extends Pick<Comparison, "before" | "after"> {
  /** Of its entry. */
  readonly index: number;
}

/** What would become of past decisions under another policy. */
export interface PolicyPreview {
  /** The hashes of the policy that it is about, and of the one in force. */
  readonly policy: string;
  readonly inForce: string;
  /** The decisions that were looked back upon, all counts of them below. */
  readonly decisions: number;
  readonly flipped: number;
  /** Decided alike, but by another rule. */
  readonly otherRule: number;
  /** Those whose input is gone, or can't be read: what would become of them can't be told. */
  readonly erased: number;
  /** Newest first, the first 200. */
  readonly flips: readonly Flip[];
}

const flipsMax = 200;

/**
 * Which of an organization's last decisions would have been others, had this policy been in force, than under the one that
 * is: each is made again by both. Nothing is changed, and no decision recorded.
 *
 * @throws DomainError `policy_refused` for what `applyPolicy` would refuse, `not_authorized` for who is no operator
 */
export async function previewPolicy(
  deps: PreviewPolicyDeps,
  { caller, source, last, context }: PreviewPolicyRequest,
): Promise<PolicyPreview> {
  const trail = { ...trailOf(caller, context), action: "policy.preview" };
  const operator = await demandOperator(deps, "mutation.refused", caller, trail);
  const { organization } = operator;
  const after = await fitPolicy(deps, operator, source);
  if ("code" in after) throw await refuse(deps, "mutation.refused", trail, "policy", after);
  const before = deps.currentPolicy(organization);
  const counts = { decisions: 0, flipped: 0, otherRule: 0, erased: 0 };
  const flips: Flip[] = [];
  for await (const { index, input } of deps.lastDecisions(organization, last)) {
    counts.decisions++;
    const requests = input === undefined ? undefined : readQuestions(input);
    // Whatever an input says, nobody is told what becomes of another organization's.
    if (requests === undefined || requests.some((one) => one.organization !== organization)) {
      counts.erased++;
      continue;
    }
    const { isFlip, ...verdicts } = compareOn(before, after, requests);
    if (isFlip) {
      counts.flipped++;
      if (flips.length < flipsMax) flips.push({ index, ...verdicts });
    } else if (verdicts.before.rule !== verdicts.after.rule) counts.otherRule++;
  }
  return { policy: after.hash, inForce: before.hash, ...counts, flips };
}

/** The questions of an input; undefined for a text that no input of ours has. */
function readQuestions(input: string): readonly DecisionRequest[] | undefined {
  try {
    return questionsIn(input);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}
