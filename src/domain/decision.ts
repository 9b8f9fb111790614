import type { OrganizationId } from "@countersign/sdk/model/ids";
import type { Attributes } from "./attributes.ts";
import type { Obliged } from "./obligation.ts";

/**
 * How the subject stands to the resource it asks for: holder of a live delegation, asking for itself, the resource's
 * owner, a member of the organization the resource is open to, or none of these.
 */
export const relations = ["delegated", "direct", "owner", "open", "none"] as const;
export type Relation = (typeof relations)[number];

/** What a policy decides about. */
export const decisionActions = [
  "token.issue",
  "token.exchange",
  "delegation.grant",
  "delegation.narrow",
  "action.authorize",
  "access.evaluate",
] as const;
export type DecisionAction = (typeof decisionActions)[number];

/** One question to the policy, about one scope token. */
export interface DecisionRequest {
  readonly organization: OrganizationId;
  /** An id that this installation made, or a SPIFFE ID; never a name that its bearer chose: rules name roles too. */
  readonly subject: string;
  /** Roles the subject has by what it is (`agent`, `kind:worker`, `user`, `operator`), beside those the policy assigns. */
  readonly roles: readonly string[];
  readonly relation: Relation;
  /** The Resource's audience in its registered form; or, asked by a resource server, what it guards, as `type:path`. */
  readonly resource: string;
  readonly action: DecisionAction;
  readonly scope: string;
  /** What else is known of it; what a policy says of an entity itself outweighs it. */
  readonly attributes?: Attributes | undefined;
}

/** The policy's answer. Whatever is not `allow` gives nothing. */
export interface Decision {
  readonly effect: "allow" | "deny" | "needs_approval";
  /** Id of the policy line that decided; else `defaultDeny` or `malformedRequest`. */
  readonly rule: string;
  /** Why, in words fit for a person. */
  readonly reason: string;
  /** Hash of the policy version that was in force: base64url SHA-256. */
  readonly policy: string;
  /** What an allowance comes with; nothing with any other answer. */
  readonly obligations: readonly Obliged[];
}

/** The rule of a decision that no policy line made: nothing allows it. */
export const defaultDeny = "default-deny";
/** The rule of a decision on a request with a value that no identifier of ours has; the policy was not asked. */
export const malformedRequest = "malformed-request";
/** The rule of a decision that would come with more obligations than can be recorded and told. */
export const tooManyObligations = "too-many-obligations";
