import type { BudgetUnit } from "@countersign/sdk/model/budget";
import {
  type AgentId,
  type DelegationId,
  type OrganizationId,
  parseId,
  type ResourceId,
} from "@countersign/sdk/model/ids";
import type { Scope } from "@countersign/sdk/model/scope";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { type Agent, rolesOf, standingOf } from "../../domain/agent.ts";
import type { Attributes } from "../../domain/attributes.ts";
import type { Decision, DecisionRequest } from "../../domain/decision.ts";
import { type DelegationChain, faultOf } from "../../domain/delegation-chain.ts";
import { DomainError } from "../../domain/domain-error.ts";
import { attributesOfMoment } from "../../domain/intended-action.ts";
import type { Resource } from "../../domain/resource.ts";
import { authorizeQuestion, exchangeQuestion, issueQuestion } from "../questions.ts";

export interface ExplainAccessDeps {
  readonly now: () => number;
  readonly decide: (request: DecisionRequest) => Decision;
  readonly findAgent: (organization: OrganizationId, id: AgentId) => Promise<Agent | undefined>;
  /** Those that the Agent holds and that are neither revoked nor over themselves, by id. */
  readonly listHeldDelegations: (
    organization: OrganizationId,
    page: AccessPageRequest<DelegationId> & { readonly grantee: AgentId; readonly lastingAtMs: number },
  ) => Promise<readonly DelegationChain[]>;
  readonly readBudgetsLeft: (
    organization: OrganizationId,
    delegations: readonly DelegationId[],
  ) => Promise<ReadonlyMap<DelegationId, Readonly<Record<string, number>>>>;
  readonly listResources: (
    organization: OrganizationId,
    page: AccessPageRequest<ResourceId>,
  ) => Promise<readonly Resource[]>;
}

interface AccessPageRequest<Id> {
  readonly after: Id | undefined;
  readonly limit: number;
}

export interface ExplainAccessRequest {
  readonly caller: Principal;
  readonly agent: AgentId;
  /** The `next` of the page before. */
  readonly after: string | undefined;
  readonly limit: number;
}

/** What would be answered, and why: by a rule of the policy, or by none because a budget is spent. */
export type AccessAnswer = Pick<Decision, "effect" | "reason"> &
  Partial<Pick<Decision, "rule" | "policy" | "obligations">>;

/** What would be answered to a token of one scope, and to an action under it. */
export interface ScopeAnswer {
  readonly scope: string;
  readonly decision: AccessAnswer;
  readonly acting: AccessAnswer;
}

/** One thing by which an Agent may act now: a live delegation, or what policy gives it directly on a Resource. */
export type Access =
  | {
      readonly by: "delegation";
      readonly chain: DelegationChain;
      /** By unit; a unit that is absent is not limited. */
      readonly budgetLeft: Readonly<Record<string, number>>;
      readonly scopes: readonly ScopeAnswer[];
    }
  | { readonly by: "policy"; readonly resource: Resource; readonly scopes: readonly ScopeAnswer[] };

/** A page of what an Agent may do now. */
export interface AccessPage {
  readonly agent: Agent;
  readonly items: readonly Access[];
  readonly next: string | undefined;
}

/**
 * What an Agent may do now and why: each live delegation that it holds with what would be said to its redemption, then
 * what policy gives it directly. Asks exactly what the token endpoint asks, and what an action asks of which nothing more is
 * said than its name; what policy allows and a spent budget does not is denied. An Agent that is not active may do nothing.
 *
 * A page looks at `limit` delegations and Resources together, and tells of those that give something: it may be short.
 *
 * @throws DomainError `not_found`
 */
export async function explainAccess(
  deps: ExplainAccessDeps,
  { caller: { organization }, agent: id, after = "", limit }: ExplainAccessRequest,
): Promise<AccessPage> {
  const nowMs = deps.now();
  const agent = await deps.findAgent(organization, id);
  if (agent === undefined) throw new DomainError("not_found", "nothing of this id is known here");
  if (standingOf(agent, nowMs).standing !== "active") return { agent, items: [], next: undefined };

  // The Resources come after the delegations: which of them a page continues is told by the id that it continues from.
  const afterResource = parseId("resource", after);
  const held =
    afterResource === undefined
      ? await deps.listHeldDelegations(organization, {
          after: parseId("delegation", after),
          limit,
          grantee: id,
          lastingAtMs: nowMs,
        })
      : [];
  const delegated = await delegatedOf(deps, organization, held, nowMs);
  const last = held.at(-1)?.leaf.delegation.id;
  if (held.length === limit) return { agent, items: delegated, next: last };

  const rest = limit - held.length;
  const resources = await deps.listResources(organization, { after: afterResource, limit: rest });
  const items = [...delegated, ...directOf(deps, agent, resources, nowMs)];
  return { agent, items, next: resources.length === rest ? resources.at(-1)?.id : undefined };
}

async function delegatedOf(
  deps: ExplainAccessDeps,
  organization: OrganizationId,
  held: readonly DelegationChain[],
  nowMs: number,
): Promise<Access[]> {
  const live = held.filter((chain) => faultOf(chain, nowMs) === undefined);
  const lefts = await deps.readBudgetsLeft(
    organization,
    live.map(({ leaf }) => leaf.delegation.id),
  );
  return live.map((chain) => {
    const { delegation } = chain.leaf;
    const budgetLeft = lefts.get(delegation.id) ?? {};
    const known = attributesOfMoment(nowMs);
    return {
      by: "delegation",
      chain,
      budgetLeft,
      scopes: delegatedAnswers(deps, chain, budgetLeft, delegation.scope, known),
    };
  });
}

/** What is said to scopes of a live delegation: to its redemption, and to an action under it. */
export function delegatedAnswers(
  deps: Pick<ExplainAccessDeps, "decide">,
  { leaf: { agent }, resource }: DelegationChain,
  budgetLeft: Readonly<Record<string, number>>,
  scopes: Scope,
  known: Attributes,
): ScopeAnswer[] {
  const acting = authorizeQuestion(agent, "delegated", resource, known);
  const answers = answersTo(deps, exchangeQuestion(agent, resource), acting, scopes);
  return answers.map((answer) => ({
    scope: answer.scope,
    decision: unlessSpent(budgetLeft, "tokens", answer.decision),
    acting: unlessSpent(budgetLeft, "calls", answer.acting),
  }));
}

/** Policy is asked first: what it does not allow it is that says no. */
function unlessSpent(
  budgetLeft: Readonly<Record<string, number>>,
  unit: BudgetUnit,
  answer: AccessAnswer,
): AccessAnswer {
  if (answer.effect !== "allow" || budgetLeft[unit] !== 0) return answer;
  return { effect: "deny", reason: `no ${unit} are left of the delegation's budget` };
}

function directOf(
  deps: ExplainAccessDeps,
  agent: Agent,
  resources: readonly Resource[],
  nowMs: number,
): Access[] {
  return resources.flatMap((resource): Access[] => {
    if (resource.status !== "active") return [];
    const answers = directAnswers(deps, agent, resource, resource.scope, attributesOfMoment(nowMs));
    const scopes = answers.filter(({ decision }) => decision.effect === "allow");
    return scopes.length === 0 ? [] : [{ by: "policy", resource, scopes }];
  });
}

/** What policy says to an Agent that asks for scopes of a Resource in its own right, and to an action under them. */
export function directAnswers(
  deps: Pick<ExplainAccessDeps, "decide">,
  agent: Agent,
  resource: Resource,
  scopes: Scope,
  known: Attributes,
): ScopeAnswer[] {
  const { organization, id, kind } = agent;
  const issuing = issueQuestion({ kind: "agent", organization, id }, rolesOf(kind), resource);
  return answersTo(deps, issuing, authorizeQuestion(agent, "direct", resource, known), scopes);
}

function answersTo(
  { decide }: Pick<ExplainAccessDeps, "decide">,
  question: Omit<DecisionRequest, "scope">,
  acting: Omit<DecisionRequest, "scope">,
  scopes: Scope,
): ScopeAnswer[] {
  return scopes.map((scope) => ({
    scope,
    decision: decide({ ...question, scope }),
    acting: decide({ ...acting, scope }),
  }));
}
