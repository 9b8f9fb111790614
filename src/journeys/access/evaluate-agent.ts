import type { DelegationId, OrganizationId, ResourceId } from "@countersign/sdk/model/ids";
import type { Agent } from "../../domain/agent.ts";
import type { Attributes } from "../../domain/attributes.ts";
import type { Decision, DecisionRequest } from "../../domain/decision.ts";
import { type DelegationChain, faultOf } from "../../domain/delegation-chain.ts";
import type { Resource } from "../../domain/resource.ts";
import { delegatedAnswers, directAnswers, type ScopeAnswer } from "../agent/access.ts";
import type { Evaluation } from "./evaluation.ts";

export interface AgentAccessDeps {
  readonly now: () => number;
  readonly decide: (request: DecisionRequest) => Decision;
  /** Those of one Agent on one Resource that are neither revoked nor over themselves, by id. */
  readonly listHeldDelegations: (
    organization: OrganizationId,
    page: {
      readonly grantee: Agent["id"];
      readonly resource: ResourceId;
      readonly lastingAtMs: number;
      readonly after: DelegationId | undefined;
      readonly limit: number;
    },
  ) => Promise<readonly DelegationChain[]>;
  readonly readBudgetsLeft: (
    organization: OrganizationId,
    delegations: readonly DelegationId[],
  ) => Promise<ReadonlyMap<DelegationId, Readonly<Record<string, number>>>>;
}

interface AgentQuestion {
  /** Active. */
  readonly agent: Agent;
  /** Active. */
  readonly resource: Resource;
  readonly scope: string;
  readonly attributes: Attributes;
}

const heldPage = 100;
const heldPagesMax = 10;

/**
 * Whether an Agent may use a scope of a registered Resource now: by any of the first 1,000 live delegations that it holds
 * there, or else by what policy gives it directly. Either way it gets a token for it, and may act under that token.
 */
export async function evaluateAgent(deps: AgentAccessDeps, question: AgentQuestion): Promise<Evaluation> {
  const byDelegation = await evaluateDelegations(deps, question);
  if (byDelegation?.allowed === true) return byDelegation;
  const { agent, resource, scope, attributes } = question;
  const offered = resource.scope.includes(scope) ? [scope] : [];
  const [answer] = directAnswers(deps, agent, resource, offered, attributes).map(evaluationOfScope);
  if (answer?.allowed === true) return answer;
  return byDelegation ?? answer ?? noScope;
}

const noScope: Evaluation = {
  allowed: false,
  effect: "deny",
  reason: "the resource has no such scope",
  obligations: [],
};

/** By the first delegation that suffices; else why the first does not; undefined where none is held. */
async function evaluateDelegations(
  deps: AgentAccessDeps,
  { agent, resource, scope, attributes }: AgentQuestion,
): Promise<Evaluation | undefined> {
  const { organization, id: grantee } = agent;
  const nowMs = deps.now();
  let after: DelegationId | undefined;
  let refusal: Evaluation | undefined;
  for (let pages = 0; pages < heldPagesMax; pages++) {
    const page = { grantee, resource: resource.id, lastingAtMs: nowMs, after, limit: heldPage };
    const held = await deps.listHeldDelegations(organization, page);
    const live = held.filter((chain) => isUsable(chain, scope, nowMs));
    const ids = live.map(({ leaf }) => leaf.delegation.id);
    const lefts = ids.length === 0 ? undefined : await deps.readBudgetsLeft(organization, ids);
    for (const chain of live) {
      const delegation = chain.leaf.delegation.id;
      const [answer] = delegatedAnswers(deps, chain, lefts?.get(delegation) ?? {}, [scope], attributes);
      const evaluation = answer && { ...evaluationOfScope(answer), delegation };
      if (evaluation?.allowed === true) return evaluation;
      refusal ??= evaluation;
    }
    if (held.length < heldPage) break;
    after = held.at(-1)?.leaf.delegation.id;
  }
  return refusal;
}

// Of a delegation that is limited to tool calls a scope alone says too little: /v1/authorize is asked with the call.
function isUsable(chain: DelegationChain, scope: string, nowMs: number): boolean {
  const { delegation } = chain.leaf;
  return (
    delegation.scope.includes(scope) &&
    delegation.authorizationDetails.length === 0 &&
    faultOf(chain, nowMs) === undefined
  );
}

/** Both are needed, the token and the action: the first that is not allowed is told. */
function evaluationOfScope({ decision, acting }: ScopeAnswer): Evaluation {
  const refused = [decision, acting].find(({ effect }) => effect !== "allow");
  const { effect, reason, rule, policy } = refused ?? acting;
  const obligations = [decision, acting].flatMap((one) => one.obligations ?? []);
  return {
    allowed: refused === undefined,
    ...(effect !== "allow" && { effect }),
    reason,
    ...(rule !== undefined && { rule }),
    ...(policy !== undefined && { policy }),
    obligations: refused === undefined ? obligations : [],
  };
}
