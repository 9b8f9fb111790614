import { sameAudience } from "@countersign/sdk/model/audience";
import type { AgentId, OrganizationId } from "@countersign/sdk/model/ids";
import type { OnwardTarget } from "@countersign/sdk/model/onward";
import { type Scope, scopeBeyond } from "@countersign/sdk/model/scope";
import type { Agent } from "../../domain/agent.ts";
import type { Delegation, ListedTarget } from "../../domain/delegation.ts";
import type { Resource } from "../../domain/resource.ts";
import { active } from "../record/conditions.ts";
import type { Refusal } from "../record/refusal.ts";

export interface OnwardTargetDeps {
  readonly findAgent: (organization: OrganizationId, id: AgentId) => Promise<Agent | undefined>;
  readonly findResourceByAudience: (
    organization: OrganizationId,
    audience: string,
  ) => Promise<Resource | undefined>;
}

/** A target with the Resource that it names. */
export interface FoundTarget {
  readonly agent: Agent;
  readonly resource: Resource;
  readonly scope: Scope;
}

/**
 * The Agents and Resources that onward targets name, or why they can't be listed: one is not there, is not active, or
 * lacks the scope.
 */
export async function findOnwardTargets(
  deps: OnwardTargetDeps,
  organization: OrganizationId,
  onward: readonly OnwardTarget[],
): Promise<{ readonly targets: readonly FoundTarget[] } | { readonly refusal: Refusal }> {
  const found = await Promise.all(
    onward.map(({ agent, resource, scope }) =>
      Promise.all([
        deps.findAgent(organization, agent),
        deps.findResourceByAudience(organization, resource),
        scope,
      ]),
    ),
  );
  const targets: FoundTarget[] = [];
  for (const [agent, resource, scope] of found) {
    if (agent === undefined) return { refusal: noAgent };
    if (resource?.status !== "active" || scopeBeyond(scope, resource.scope).length > 0) {
      return { refusal: noTarget };
    }
    targets.push({ agent, resource, scope });
  }
  return { targets };
}

/**
 * The targets as they are recorded: a Resource by its registered audience, whatever spelling was sent; an Agent for the
 * tenure that it is in, or below a delegation, for the one that this one lists: an Agent that was transferred since is
 * not listed anew by somebody who only passes on.
 */
export function onwardOf(targets: readonly FoundTarget[], above?: Delegation): readonly ListedTarget[] {
  return targets.map(({ agent: { id: agent, tenure }, resource: { audience: resource }, scope }) => {
    const listed = above?.onward.find((one) => one.agent === agent && sameAudience(one.resource, resource));
    return { agent, resource, scope, tenure: listed?.tenure ?? tenure };
  });
}

/** That the Resources of the targets still are active. */
export function targetConditions(targets: readonly FoundTarget[]) {
  return targets.map(({ resource }) => active("resource", resource.id));
}

const noAgent: Refusal = {
  code: "not_found",
  publicDetail: "there is no such agent to list onward",
  reason: "an onward agent is not there",
};

const noTarget: Refusal = {
  code: "invalid_target",
  publicDetail: "an onward target names no active resource with this scope",
  reason: "an onward resource is not there, not active, or lacks the scope",
};
