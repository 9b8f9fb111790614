import type { OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { DecisionRequest } from "../domain/decision.ts";
import { column } from "./check-row.ts";
import { decide } from "./decide.ts";
import { domainsOf } from "./roles.ts";
import { rulesIn } from "./rule-index.ts";
import type { PolicySnapshot } from "./snapshot.ts";

/** Which line of a policy is about another organization than its own, in words; undefined when none is. */
export function strangersIn(
  { rules, roles, entities }: PolicySnapshot,
  organization: OrganizationId,
): string | undefined {
  const isOther = (domain: string) => domain !== "*" && domain !== organization;
  for (const rule of rulesIn(rules)) {
    if (isOther(rule[column.dom] ?? "")) return `the rule ${rule[column.rule]} is for another organization`;
  }
  const domain = [...domainsOf(roles), ...entities.keys()].find(isOther);
  return domain === undefined ? undefined : `a role or an entity is for another organization: ${domain}`;
}

/**
 * What an operator could not do any more under a policy, so that nobody could bring another one into force; undefined
 * when they still administer the server and read its ledger.
 */
export function lockOutOf(
  snapshot: PolicySnapshot,
  { organization, id }: Extract<Principal, { kind: "operator" }>,
  issuer: string,
): string | undefined {
  const request: Omit<DecisionRequest, "scope"> = {
    organization,
    subject: id,
    roles: ["operator"],
    relation: "direct",
    resource: `${issuer}/v1`,
    action: "token.issue",
  };
  const lost = ["admin", "audit"].find((scope) => decide(snapshot, { ...request, scope }).effect !== "allow");
  return lost === undefined
    ? undefined
    : `you would be locked out: under it ${id} gets no token with the scope ${lost} for ${issuer}/v1`;
}
