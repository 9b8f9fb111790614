import type { Grant } from "@countersign/sdk/model/narrow";
import type { DecisionRequest } from "../../domain/decision.ts";
import type { Resource } from "../../domain/resource.ts";
import { type DecideDeps, decideAll, questionsOf, type ScopesDecision } from "../decide-scopes.ts";
import type { Refusal } from "../record/refusal.ts";
import { type FoundTarget, findOnwardTargets, type OnwardTargetDeps } from "./onward-targets.ts";

/** What policy said of a delegation, with the onward targets that were found. */
export type DelegationDecision =
  | (Extract<ScopesDecision, { effect: "allow" }> & { readonly targets: readonly FoundTarget[] })
  | Exclude<ScopesDecision, { effect: "allow" }>
  /** Policy was not asked. */
  | { readonly effect: "no_target"; readonly refusal: Refusal };

/**
 * Asks policy whether authority may be given: each scope on its Resource, and each of every onward target on the target's.
 *
 * @param questionOf what policy is asked about each scope of a Resource
 */
export async function decideDelegation(
  deps: DecideDeps & OnwardTargetDeps,
  resource: Resource,
  { scope, onward }: Pick<Grant, "scope" | "onward">,
  questionOf: (about: Resource) => Omit<DecisionRequest, "scope">,
): Promise<DelegationDecision> {
  const found = await findOnwardTargets(deps, resource.organization, onward);
  if ("refusal" in found) return { effect: "no_target", refusal: found.refusal };
  const decided = decideAll(
    deps,
    [{ resource, scope }, ...found.targets].flatMap((of) => questionsOf(questionOf(of.resource), of.scope)),
  );
  return decided.effect === "allow" ? { ...decided, ...found } : decided;
}
