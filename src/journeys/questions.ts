import type { UserId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { type Agent, rolesOf } from "../domain/agent.ts";
import type { Attributes } from "../domain/attributes.ts";
import type { DecisionRequest } from "../domain/decision.ts";
import { type Resource, relationOf } from "../domain/resource.ts";

/** What policy is asked about each scope: whoever tells what policy would say asks exactly what the journey asks. */
type Question = Omit<DecisionRequest, "scope">;

/** Before a User's root delegation, which an operator asserts. */
export function grantQuestion(user: UserId, resource: Resource): Question {
  // The second role lets a policy forbid what is only asserted.
  const roles = ["user", "asserted"];
  const relation = relationOf(user, resource);
  return { ...about(resource), subject: user, roles, relation, action: "delegation.grant" };
}

/** Before an Agent passes on what was delegated to it. */
export function narrowQuestion(agent: Pick<Agent, "id" | "kind">, resource: Resource): Question {
  const { id: subject, kind } = agent;
  return {
    ...about(resource),
    subject,
    roles: rolesOf(kind),
    relation: "delegated",
    action: "delegation.narrow",
  };
}

/** Before an Agent redeems what was delegated to it. */
export function exchangeQuestion(agent: Pick<Agent, "id" | "kind">, resource: Resource): Question {
  return { ...narrowQuestion(agent, resource), action: "token.exchange" };
}

/** Before an Agent does one action, by what was delegated to it or in its own right, as far as more is known of it. */
export function authorizeQuestion(
  { id: subject, kind }: Pick<Agent, "id" | "kind">,
  relation: "delegated" | "direct",
  resource: Resource,
  known: Attributes,
): Question {
  const attributes = { ...known, "subject.kind": kind };
  return {
    ...about(resource),
    subject,
    roles: rolesOf(kind),
    relation,
    action: "action.authorize",
    attributes,
  };
}

/** Before a client gets a token in which it speaks for itself. */
export function issueQuestion({ id }: Principal, roles: readonly string[], resource: Resource): Question {
  return { ...about(resource), subject: id, roles, relation: "direct", action: "token.issue" };
}

function about({ organization, audience }: Resource): Pick<Question, "organization" | "resource"> {
  return { organization, resource: audience };
}
