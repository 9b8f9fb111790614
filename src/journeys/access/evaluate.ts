import { parseAudience } from "@countersign/sdk/model/audience";
import { entityNameOf } from "@countersign/sdk/model/entity";
import { type AgentId, type OrganizationId, parseId, type UserId } from "@countersign/sdk/model/ids";
import { type Principal, principalOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { type Agent, rolesOf, standingOf } from "../../domain/agent.ts";
import type { Attributes } from "../../domain/attributes.ts";
import type { DecisionRequest } from "../../domain/decision.ts";
import { DomainError } from "../../domain/domain-error.ts";
import { attributesOfMoment } from "../../domain/intended-action.ts";
import type { Resource } from "../../domain/resource.ts";
import type { User } from "../../domain/user.ts";
import { type AgentAccessDeps, evaluateAgent } from "./evaluate-agent.ts";
import { type Evaluation, evaluationOf } from "./evaluation.ts";

export interface EvaluateDeps extends AgentAccessDeps {
  readonly trustDomain: TrustDomain;
  readonly findAgent: (organization: OrganizationId, id: AgentId) => Promise<Agent | undefined>;
  readonly findUser: (organization: OrganizationId, id: UserId) => Promise<User | undefined>;
  readonly findResourceByAudience: (
    organization: OrganizationId,
    audience: string,
  ) => Promise<Resource | undefined>;
}

/** Somebody or something, as an asker names it. */
export interface Named {
  readonly type: string;
  readonly id: string;
}

/** Whether somebody may do something to something. */
export interface AccessQuestion {
  readonly subject: Named;
  readonly action: string;
  readonly resource: Named;
  /** All that the asker says of these and of the circumstances, by dotted name. */
  readonly attributes: Attributes;
}

export interface EvaluateRequest {
  /** An operator, who may ask about all of their organization; or a resource: about registered Resources only itself. */
  readonly caller: Principal;
  readonly question: AccessQuestion;
}

/** Who is asked about: somebody registered who is active, a name that the policy may know, or nobody who may do anything. */
type Subject =
  | { readonly kind: "agent"; readonly agent: Agent }
  | { readonly kind: "named"; readonly id: string; readonly roles: readonly string[] }
  | { readonly kind: "inactive" };

/**
 * Answers a question of a resource server's by the policy of its organization. It is a question only: nothing is recorded
 * of it, nothing is spent, and what is then done is recorded by `/v1/authorize` or a report.
 *
 * @throws DomainError `invalid_request` for a name that is not in its only spelling; `not_authorized`
 * @see AuthZEN Authorization API 1.0, section 6
 */
export async function evaluateAccess(
  deps: EvaluateDeps,
  { caller, question }: EvaluateRequest,
): Promise<Evaluation> {
  const { organization } = caller;
  demandAsker(caller);
  const object = await objectOf(deps, caller, question.resource);
  const subject = await subjectOf(deps, organization, question.subject);
  if (object === undefined) return deniedFor("no resource of this audience is active");
  if (subject.kind === "inactive") return deniedFor("inactive");

  const attributes = { ...question.attributes, ...knownOf(deps, subject) };
  const { action } = question;
  if (subject.kind === "agent" && typeof object !== "string") {
    return evaluateAgent(deps, { agent: subject.agent, resource: object, scope: action, attributes });
  }
  const request: DecisionRequest = {
    organization,
    ...askedAs(subject),
    relation: "none",
    resource: typeof object === "string" ? object : object.audience,
    action: "access.evaluate",
    scope: action,
    attributes,
  };
  return evaluationOf(deps.decide(request));
}

/** @throws DomainError `not_authorized` for who is neither an operator nor a resource. */
export function demandAsker({ kind }: Principal): void {
  if (kind !== "operator" && kind !== "resource")
    throw new DomainError("not_authorized", "only resources and operators ask about others");
}

function deniedFor(reason: string): Evaluation {
  return { allowed: false, effect: "deny", reason, obligations: [] };
}

/**
 * The active Resource, or the name of what a resource server guards; undefined for a Resource that nobody has.
 *
 * @throws DomainError `invalid_request` for a name that is not in its only spelling; `not_authorized`
 */
export async function objectOf(
  deps: Pick<EvaluateDeps, "findResourceByAudience">,
  caller: Principal,
  { type, id }: Named,
): Promise<Resource | string | undefined> {
  if (type !== "resource") return entityNameOf(type, id) ?? notCanonical("resource");
  const audience = parseAudience(id) ?? notCanonical("resource");
  const resource = await deps.findResourceByAudience(caller.organization, audience);
  // In the same words for what is not there: which others an organization has is not a resource's to learn.
  if (caller.kind === "resource" && resource?.id !== caller.id)
    throw new DomainError("not_authorized", "a resource asks about no other registered resource");
  return resource?.status === "active" ? resource : undefined;
}

async function subjectOf(
  deps: EvaluateDeps,
  organization: OrganizationId,
  { type, id }: Named,
): Promise<Subject> {
  if (type === "agent") {
    const agentId = parseId("agent", id) ?? agentNamed(deps, organization, id);
    const agent = agentId && (await deps.findAgent(organization, agentId));
    const isActive = agent !== undefined && standingOf(agent, deps.now()).standing === "active";
    return isActive ? { kind: "agent", agent } : { kind: "inactive" };
  }
  const userId = type === "user" ? parseId("user", id) : undefined;
  if (userId === undefined)
    return { kind: "named", id: entityNameOf(type, id) ?? notCanonical("subject"), roles: [] };
  const user = await deps.findUser(organization, userId);
  return user?.status === "active" ? { kind: "named", id: userId, roles: ["user"] } : { kind: "inactive" };
}

function agentNamed(
  { trustDomain }: EvaluateDeps,
  organization: OrganizationId,
  id: string,
): AgentId | undefined {
  const principal = principalOf(trustDomain, id);
  return principal?.kind === "agent" && principal.organization === organization ? principal.id : undefined;
}

function askedAs(subject: Exclude<Subject, { kind: "inactive" }>) {
  if (subject.kind === "agent") return { subject: subject.agent.id, roles: rolesOf(subject.agent.kind) };
  return { subject: subject.id, roles: subject.roles };
}

/** What the server knows itself, whatever an asker says. */
function knownOf({ now }: EvaluateDeps, subject: Subject): Attributes {
  return {
    ...attributesOfMoment(now()),
    ...(subject.kind === "agent" && { "subject.kind": subject.agent.kind }),
  };
}

function notCanonical(what: "subject" | "resource"): never {
  const publicDetail = `${what}: type and id must name it in its only spelling, as record and record-1 do`;
  throw new DomainError("invalid_request", publicDetail);
}
