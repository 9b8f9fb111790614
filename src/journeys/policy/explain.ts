import type { Audience } from "@countersign/sdk/model/audience";
import { sameAudience } from "@countersign/sdk/model/audience";
import type { AgentId, DelegationId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { type Agent, rolesOf, standingOf } from "../../domain/agent.ts";
import type { Attributes } from "../../domain/attributes.ts";
import type { DecisionRequest } from "../../domain/decision.ts";
import { type DelegationChain, faultOf } from "../../domain/delegation-chain.ts";
import { DomainError } from "../../domain/domain-error.ts";
import { attributesOfMoment } from "../../domain/intended-action.ts";
import { type Narrowed, narrowedOn } from "../../domain/narrowed.ts";
import type { Resource } from "../../domain/resource.ts";
import { type Explanation, explain } from "../../policy/explain.ts";
import type { PolicySnapshot } from "../../policy/snapshot.ts";
import type { ExplainAccessDeps } from "../agent/access.ts";
import { authorizeQuestion, exchangeQuestion, issueQuestion, narrowQuestion } from "../questions.ts";

export interface ExplainDecisionDeps
  extends Pick<ExplainAccessDeps, "now" | "findAgent" | "listHeldDelegations" | "readBudgetsLeft"> {
  /** The version in force. */
  readonly currentPolicy: (organization: OrganizationId) => PolicySnapshot;
  readonly findResourceByAudience: (
    organization: OrganizationId,
    audience: string,
  ) => Promise<Resource | undefined>;
  readonly findDelegationChain: (
    organization: OrganizationId,
    id: DelegationId,
  ) => Promise<DelegationChain | undefined>;
}

export interface ExplainDecisionRequest {
  readonly caller: Principal;
  readonly agent: AgentId;
  readonly resource: Audience;
  readonly scope: string;
  readonly action: "token.exchange" | "token.issue" | "delegation.narrow" | "action.authorize";
  /** By which it would be done. Default: the first that holds and reaches so far. */
  readonly delegation?: DelegationId | undefined;
  readonly attributes?: Attributes | undefined;
}

/** What would be said to an Agent, and why. */
export interface ExplainedDecision {
  /** Whether it would be given now: policy allows it, and nothing else stands in the way. */
  readonly isGiven: boolean;
  readonly explanation: Explanation;
  /** By which it would be done; undefined: by none. */
  readonly chain: DelegationChain | undefined;
  readonly narrowed: readonly Narrowed[];
  /** What stands in the way whatever policy says. */
  readonly obstacles: readonly string[];
}

/**
 * Tells what would be said to an Agent that asks for one scope of a Resource, and why: exactly what the journey would ask
 * policy, the delegation that it would be done by, and what stands in the way. Nothing is done, and nothing recorded.
 *
 * @throws DomainError `not_found` for what the caller's organization does not have, or a delegation that is not the Agent's
 */
export async function explainDecision(
  deps: ExplainDecisionDeps,
  request: ExplainDecisionRequest,
): Promise<ExplainedDecision> {
  const { caller, scope, attributes } = request;
  const { organization } = caller;
  const nowMs = deps.now();
  const [agent, resource] = await Promise.all([
    deps.findAgent(organization, request.agent),
    deps.findResourceByAudience(organization, request.resource),
  ]);
  if (agent === undefined || resource === undefined) throw notFound();
  const chain = request.action === "token.issue" ? undefined : await chainFor(deps, request, nowMs);
  const known = { ...attributes, ...attributesOfMoment(nowMs) };
  const question = questionOf(request, { agent, resource, isDelegated: chain !== undefined, known });
  const snapshot = deps.currentPolicy(organization);
  const explanation = explain(snapshot, { attributes, ...question, scope });
  const obstacles = [
    ...obstaclesOf(request, agent, resource, nowMs),
    ...(await obstaclesOn(deps, request, chain, nowMs)),
  ];
  const isGiven = explanation.decision.effect === "allow" && obstacles.length === 0;
  return { isGiven, explanation, chain, narrowed: chain === undefined ? [] : narrowedOn(chain), obstacles };
}

interface Asked {
  readonly agent: Agent;
  readonly resource: Resource;
  readonly isDelegated: boolean;
  /** What is known of an action beside it. */
  readonly known: Attributes;
}

function questionOf(
  { action }: ExplainDecisionRequest,
  { agent, resource, isDelegated, known }: Asked,
): Omit<DecisionRequest, "scope"> {
  const roles = rolesOf(agent.kind);
  switch (action) {
    case "token.issue":
      return issueQuestion(
        { kind: "agent", organization: agent.organization, id: agent.id },
        roles,
        resource,
      );
    case "token.exchange":
      return exchangeQuestion(agent, resource);
    case "delegation.narrow":
      return narrowQuestion(agent, resource);
    case "action.authorize":
      return authorizeQuestion(agent, isDelegated ? "delegated" : "direct", resource, known);
  }
}

/** The delegation that is named; else of those held the first that reaches so far, or that is for the Resource at all. */
async function chainFor(
  deps: ExplainDecisionDeps,
  request: ExplainDecisionRequest,
  nowMs: number,
): Promise<DelegationChain | undefined> {
  const { caller, agent, resource, scope, delegation } = request;
  const { organization } = caller;
  if (delegation !== undefined) {
    const chain = await deps.findDelegationChain(organization, delegation);
    if (chain?.leaf.delegation.grantee !== agent) throw notFound();
    return chain;
  }
  let nearest: DelegationChain | undefined;
  let after: DelegationId | undefined;
  for (let page = 0; page < pagesMax; page++) {
    const asked = { after, limit: pageSize, grantee: agent, lastingAtMs: nowMs };
    const held = await deps.listHeldDelegations(organization, asked);
    const fitting = held.filter((chain) => sameAudience(chain.resource.audience, resource));
    const reaching = fitting.find(
      (chain) => chain.leaf.delegation.scope.includes(scope) && faultOf(chain, nowMs) === undefined,
    );
    if (reaching !== undefined) return reaching;
    nearest ??= fitting[0];
    after = held.at(-1)?.leaf.delegation.id;
    if (held.length < pageSize) break;
  }
  return nearest;
}

const pageSize = 200;
const pagesMax = 5;

function obstaclesOf(
  { scope }: ExplainDecisionRequest,
  agent: Agent,
  resource: Resource,
  nowMs: number,
): readonly string[] {
  const { standing, reason = `${agent.id} is ${standing}` } = standingOf(agent, nowMs);
  return [
    ...(standing === "active" ? [] : [reason]),
    ...(resource.status === "active" ? [] : [`${resource.id} is ${resource.status}`]),
    ...(resource.scope.includes(scope) ? [] : [`${resource.audience} has no scope ${scope}`]),
  ];
}

async function obstaclesOn(
  deps: ExplainDecisionDeps,
  { caller, action, resource, scope }: ExplainDecisionRequest,
  chain: DelegationChain | undefined,
  nowMs: number,
): Promise<readonly string[]> {
  if (chain === undefined) {
    const needsOne = action === "token.exchange" || action === "delegation.narrow";
    return needsOne ? [`it holds no delegation on ${resource}`] : [];
  }
  const { id, scope: delegated, maxDepth } = chain.leaf.delegation;
  const fault = faultOf(chain, nowMs);
  const unit = action === "token.exchange" ? "tokens" : "calls";
  const left = (await deps.readBudgetsLeft(caller.organization, [id])).get(id) ?? {};
  const isSpent = action !== "delegation.narrow" && left[unit] === 0;
  return [
    ...(fault === undefined ? [] : [fault.reason]),
    ...(sameAudience(chain.resource.audience, resource) ? [] : [`${id} is for ${chain.resource.audience}`]),
    ...(delegated.includes(scope) ? [] : [`${id} does not have the scope ${scope}`]),
    ...(isSpent ? [`no ${unit} are left of the budget of ${id}`] : []),
    ...(action === "delegation.narrow" && maxDepth === 0 ? [`${id} can't be passed on`] : []),
  ];
}

function notFound(): DomainError {
  return new DomainError("not_found", "nothing of this id is known here");
}
