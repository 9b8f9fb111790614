import { actorChainOf, isActOf } from "@countersign/sdk/model/actor-chain";
import { agentChecksum, parseAgentConfiguration } from "@countersign/sdk/model/agent-configuration";
import { parseAudience } from "@countersign/sdk/model/audience";
import { covers, permits } from "@countersign/sdk/model/authorization-details";
import type { JsonValue } from "@countersign/sdk/model/canonical-json";
import { parseId } from "@countersign/sdk/model/ids";
import {
  type Authority,
  type Grant,
  type Narrowing,
  narrow,
  narrowToToken,
} from "@countersign/sdk/model/narrow";
import { narrowOnward } from "@countersign/sdk/model/narrow-onward";
import type { OnwardTarget } from "@countersign/sdk/model/onward";
import { type DelegatedClaims, isTokenOf } from "@countersign/sdk/model/recorded-token";
import { parseSpiffeId } from "@countersign/sdk/model/spiffe-id";
import type { ToolCall } from "@countersign/sdk/model/tool-call";
import { z } from "zod";

/** What a vector file asks about each of its cases; README.md says what each means. */
export const checks = [
  "covers",
  "permits",
  "narrow",
  "narrow-token",
  "narrow-onward",
  "act",
  "act-recorded",
  "token-recorded",
  "agent-checksum",
] as const;

export type Check = (typeof checks)[number];

type Members = { readonly [name: string]: JsonValue | undefined };

const aScope = z.array(z.string());
const details = z.array(z.custom<JsonValue>());
const target = z.strictObject({ agent: z.string(), resource: z.string(), scope: aScope }).transform(
  ({ agent, resource, scope }): OnwardTarget => ({
    agent: agentId(agent),
    resource: audience(resource),
    scope,
  }),
);
const budget = z.record(z.string(), z.number());
const grantMembers = {
  resource: z.string().transform(audience),
  scope: aScope,
  authorization_details: details.default([]),
  expires_at_ms: z.number(),
  max_depth: z.number(),
  budget: budget.default({}),
  session: z.string().optional(),
};
const aGrant = z.strictObject({ ...grantMembers, onward: z.array(target).default([]) });
const anAuthority = z.strictObject({
  ...grantMembers,
  onward: z.union([z.literal("any"), z.array(target)]).default([]),
});
const aRequest = z.strictObject({
  resource: z.string(),
  scope: aScope,
  authorization_details: details.optional(),
  expires_at_ms: z.number().optional(),
  max_depth: z.number().optional(),
  budget: budget.optional(),
  onward: z.array(target).optional(),
  session: z.string().optional(),
});
const aTokenRequest = aRequest.pick({ resource: true, scope: true, authorization_details: true }).partial();
const anOnwardRequest = aTokenRequest.extend({
  client: z.string().transform(agentId),
  budget: budget.optional(),
});
const aToken = z.strictObject({
  scope: aScope,
  authorization_details: details.default([]),
  expires_at_ms: z.number(),
});
const aCall = z.custom<ToolCall>();
const aChain = z.array(
  z
    .strictObject({ iss: z.string(), sub: z.string() })
    .transform(({ iss, sub }) => ({ iss, sub: spiffeId(sub) })),
);

const aRecord = z.strictObject({
  delegation: z.string(),
  root: z.string(),
  subject: z.string(),
  audience: z.string(),
  chain: aChain,
  authorization_details: details.default([]),
  may_act: z
    .strictObject({ iss: z.string(), sub: z.string(), sub_profile: z.literal("ai_agent") })
    .optional(),
});

/** What the SDK makes of the input of one case: the members that a vector has for its result. */
export function decide(check: Check, input: Members): Members {
  const { now_ms } = input;
  const nowMs = Number(now_ms);
  switch (check) {
    case "covers":
      return { covered: covers(details.parse(input["parent"]), details.parse(input["child"])) };
    case "permits":
      return {
        permitted: permits(details.parse(input["authorization_details"]), aCall.parse(input["call"])),
      };
    case "narrow": {
      const { authorization_details, expires_at_ms, max_depth, ...same } = aRequest.parse(input["request"]);
      const request = { ...same, authorizationDetails: authorization_details, expiresAtMs: expires_at_ms };
      const parent: Authority = grantOf(anAuthority.parse(input["parent"]));
      return resultOf(narrow(parent, { ...request, maxDepth: max_depth }, nowMs));
    }
    case "narrow-token": {
      const { authorization_details, ...same } = aTokenRequest.parse(input["request"]);
      const request = { ...same, authorizationDetails: authorization_details };
      const leaf: Grant = grantOf(aGrant.parse(input["leaf"]));
      return resultOf(narrowToToken(leaf, request, nowMs, Number(input["lifetime_seconds"])));
    }
    case "narrow-onward": {
      const { authorization_details, ...same } = anOnwardRequest.parse(input["request"]);
      const token = aToken.parse(input["token"]);
      const held = {
        scope: token.scope,
        authorizationDetails: token.authorization_details,
        expiresAtMs: token.expires_at_ms,
      };
      const leaf: Grant = grantOf(aGrant.parse(input["leaf"]));
      return resultOf(
        narrowOnward(leaf, held, { ...same, authorizationDetails: authorization_details }, nowMs),
      );
    }
    case "act": {
      const chain = actorChainOf(input["act"]);
      return chain === undefined
        ? { valid: false }
        : { valid: true, chain: chain.map(({ iss, sub }) => ({ iss, sub })) };
    }
    case "act-recorded":
      return { accepted: isActOf(aChain.parse(input["recorded"]), input["presented"]) };
    case "token-recorded": {
      const { may_act, authorization_details, ...same } = aRecord.parse(input["recorded"]);
      const recorded = { ...same, mayAct: may_act, authorizationDetails: authorization_details };
      const claims = z.custom<DelegatedClaims>().parse(input["claims"]);
      return { accepted: isTokenOf(recorded, claims) };
    }
    case "agent-checksum": {
      const configuration = parseAgentConfiguration(input["configuration"]);
      return configuration === undefined
        ? { valid: false }
        : { valid: true, checksum: agentChecksum(configuration) };
    }
  }
}

function grantOf<Targets>(wire: Omit<z.infer<typeof aGrant>, "onward"> & { readonly onward: Targets }) {
  const { authorization_details, expires_at_ms, max_depth, session, ...same } = wire;
  return {
    ...same,
    authorizationDetails: authorization_details,
    expiresAtMs: expires_at_ms,
    maxDepth: max_depth,
    session,
  };
}

function resultOf(narrowing: Narrowing): Members {
  if (!narrowing.narrowed) {
    const { narrowed, dimension, unreadable } = narrowing;
    return { narrowed, dimension, ...(unreadable && { fault: "unreadable" }) };
  }
  const {
    resource,
    scope,
    authorizationDetails,
    expiresAtMs,
    maxDepth,
    budget: allowed,
    onward,
    session,
  } = narrowing.grant;
  const grant = {
    resource,
    scope,
    authorization_details: authorizationDetails,
    expires_at_ms: expiresAtMs,
    max_depth: maxDepth,
    budget: allowed,
    onward: onward.map(({ agent, resource: at, scope: some }) => ({ agent, resource: at, scope: some })),
    ...(session !== undefined && { session }),
  };
  return { narrowed: true, grant };
}

function audience(text: string) {
  return parseAudience(text) ?? refuse(text);
}

function agentId(text: string) {
  return parseId("agent", text) ?? refuse(text);
}

function spiffeId(text: string) {
  return parseSpiffeId(text) ?? refuse(text);
}

function refuse(text: string): never {
  throw new Error(`not well-formed: ${text}`);
}
