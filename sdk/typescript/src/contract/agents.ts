import { z } from "zod";
import {
  aName,
  anId,
  anOrganization,
  aSpiffeId,
  aStatus,
  aTime,
  idParams,
  listQuerySchema,
  pageOf,
  publicJwkSchema,
  withLedger,
} from "./fields.ts";
import { operation } from "./operation.ts";
import { revocationReceiptSchema } from "./revocation-receipt.ts";

const aKind = z.enum(["manager", "worker", "tool"]);

export const createAgentRequestSchema = z.strictObject({
  owner: anId("user"),
  name: aName,
  kind: aKind.default("worker"),
  jwk: publicJwkSchema,
});
export const agentSchema = z.strictObject({
  id: anId("agent"),
  client_id: aSpiffeId,
  spiffe_id: aSpiffeId,
  organization: anOrganization,
  owner: anId("user"),
  name: aName,
  kind: aKind,
  status: aStatus,
  created_at: aTime,
});
/** Answer to the creation of an Agent and to each change of its status. */
export const agentChangedSchema = agentSchema.extend(withLedger);
export const agentPageSchema = pageOf(agentSchema);

export const createAgent = operation({
  name: "createAgent",
  method: "post",
  path: "/v1/agents",
  summary: "Registers an agent under the user who answers for it, with the public half of its key.",
  anyOf: ["admin"],
  status: 201,
  body: createAgentRequestSchema,
  answer: agentChangedSchema,
});
export const listAgents = operation({
  name: "listAgents",
  method: "get",
  path: "/v1/agents",
  summary: "Lists the agents of the organization.",
  anyOf: ["admin"],
  query: listQuerySchema,
  answer: agentPageSchema,
});
export const getAgent = operation({
  name: "getAgent",
  method: "get",
  path: "/v1/agents/{id}",
  summary: "Shows one agent.",
  anyOf: ["admin"],
  params: idParams("agent"),
  answer: agentSchema,
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
export const revokeAgent = operation({
  name: "revokeAgent",
  method: "post",
  path: "/v1/agents/{id}/revoke",
  summary: "Retires an agent and answers with the receipt of all that ended with it.",
  anyOf: ["admin"],
  params: idParams("agent"),
  answer: revocationReceiptSchema,
});
