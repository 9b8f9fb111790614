import { z } from "zod";
import {
  aName,
  anId,
  aSpiffeId,
  aTime,
  clientFields,
  idParams,
  listQueryOf,
  pageOf,
  publicJwkSchema,
  withLedger,
} from "./fields.ts";
import { operation } from "./operation.ts";
import { reachNowSchema } from "./reach.ts";
import { aReceipt, revocationReceiptSchema } from "./revocation-receipt.ts";

const aKind = z.enum(["manager", "worker", "tool"]);

export const createAgentRequestSchema = z.strictObject({
  owner: anId("user"),
  name: aName,
  kind: aKind.default("worker"),
  expires_at: aTime
    .optional()
    .describe("From then on it is not active; without it the agent does not expire."),
  jwk: publicJwkSchema
    .optional()
    .describe("Without it the agent has no key of its own: it proves who it is by attestation alone."),
});
export const transferAgentRequestSchema = z.strictObject({ owner: anId("user") });
export const agentSchema = z.strictObject({
  ...clientFields("agent"),
  spiffe_id: aSpiffeId,
  owner: anId("user"),
  name: aName,
  kind: aKind,
  /** Why its status is what it comes to, inactive, and not its own mark: it has expired, or its owner was offboarded. */
  status_reason: z.string().max(1024).optional(),
  expires_at: aTime.optional(),
});
/** An Agent with what else the registry knows of it. */
export const agentRecordSchema = agentSchema.extend({
  /** RFC 7638 thumbprints of the keys that speak for it. */
  keys: z.array(z.string().max(64)).max(64),
  stopped_at: aTime
    .optional()
    .describe(
      "When it was last suspended, retired or transferred: what was issued to it until then is dead.",
    ),
  delegations: z
    .strictObject({ held: z.int().nonnegative(), given: z.int().nonnegative() })
    .describe(
      "How many it holds and gave; those that are revoked or have expired themselves are not counted.",
    ),
});
/** Answer to the creation of an Agent and to each change of its status; to what stops it, with the signed receipt. */
export const agentChangedSchema = agentSchema.extend({ ...withLedger, receipt: aReceipt.optional() });
export const agentPageSchema = pageOf(agentSchema);

export const createAgent = operation({
  name: "createAgent",
  method: "post",
  path: "/v1/agents",
  summary:
    "Registers an agent under the user who answers for it, with the public half of its key if it has one.",
  anyOf: ["admin"],
  status: 201,
  body: createAgentRequestSchema,
  answer: agentChangedSchema,
});
export const listAgents = operation({
  name: "listAgents",
  method: "get",
  path: "/v1/agents",
  summary:
    "Lists the agents of the organization: all, or those of an owner, a kind, a status that they come to.",
  anyOf: ["admin"],
  query: listQueryOf("agent").extend({
    owner: anId("user").optional(),
    kind: aKind.optional(),
    status: z.enum(["active", "inactive", "suspended", "retired"]).optional(),
  }),
  answer: agentPageSchema,
});
export const getAgent = operation({
  name: "getAgent",
  method: "get",
  path: "/v1/agents/{id}",
  summary: "Shows one agent: whose it is, its status, its keys, and how many delegations it holds and gave.",
  anyOf: ["admin"],
  params: idParams("agent"),
  answer: agentRecordSchema,
});
export const suspendAgent = operation({
  name: "suspendAgent",
  method: "post",
  path: "/v1/agents/{id}/suspend",
  summary: "Stops an agent for now: all its tokens and delegations rest.",
  anyOf: ["admin"],
  params: idParams("agent"),
  answer: agentChangedSchema,
});
export const resumeAgent = operation({
  name: "resumeAgent",
  method: "post",
  path: "/v1/agents/{id}/resume",
  summary: "Lets a suspended agent work again; tokens from before stay inactive.",
  anyOf: ["admin"],
  params: idParams("agent"),
  answer: agentChangedSchema,
});
export const retireAgent = operation({
  name: "retireAgent",
  method: "post",
  path: "/v1/agents/{id}/retire",
  summary: "Ends an agent for good; its id is never given to another.",
  anyOf: ["admin"],
  params: idParams("agent"),
  answer: agentChangedSchema,
});
export const transferAgent = operation({
  name: "transferAgent",
  method: "post",
  path: "/v1/agents/{id}/transfer",
  summary:
    "Gives an agent to another owner: all that was delegated to it rests until it is consented to again.",
  anyOf: ["admin"],
  params: idParams("agent"),
  body: transferAgentRequestSchema,
  answer: agentChangedSchema,
});
export const revokeAgent = operation({
  name: "revokeAgent",
  method: "post",
  path: "/v1/agents/{id}/revoke",
  summary: "Retires an agent and answers with the receipt of all that ended with it.",
  anyOf: ["admin"],
  params: idParams("agent"),
  answer: revocationReceiptSchema,
});
export const getAgentReach = operation({
  name: "getAgentReach",
  method: "get",
  path: "/v1/agents/{id}/reach",
  summary: "Shows what would end with an agent if it were revoked now.",
  anyOf: ["admin"],
  params: idParams("agent"),
  answer: reachNowSchema,
});
