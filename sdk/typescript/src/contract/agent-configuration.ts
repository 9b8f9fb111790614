import { z } from "zod";
import { hexHashPattern, isModelName, modelCharsMax } from "../model/agent-configuration.ts";
import { aChecksum, anId, aTime, idParams, listQuery, withLedger } from "./fields.ts";
import { operation } from "./operation.ts";

const aHexHash = z.string().regex(new RegExp(hexHashPattern), "must be a SHA-256 in lower-case hex");

export const agentConfigurationSchema = z.strictObject({
  model: z
    .string()
    .min(1)
    .max(modelCharsMax)
    .refine(isModelName, "must be text without control or invisible characters"),
  prompt_sha256: aHexHash.describe("Of the prompt's bytes."),
  tools_sha256: aHexHash.describe("Of the bytes of the list of tools."),
});
export const declaredConfigurationSchema = z.strictObject({
  agent: anId("agent"),
  checksum: aChecksum,
  ...withLedger,
});
export const approveChecksumRequestSchema = z.strictObject({ checksum: aChecksum });
/** A configuration that an Agent may have, or could have before. */
export const checksumApprovalSchema = z.strictObject({
  agent: anId("agent"),
  checksum: aChecksum,
  status: z.enum(["approved", "withdrawn"]),
  /** When it was last approved. */
  approved_at: aTime,
  /** Of one that is withdrawn, unless that was before this was kept. */
  withdrawn_at: aTime.optional(),
});
export const checksumApprovalChangedSchema = checksumApprovalSchema.extend(withLedger);
export const checksumApprovalPageSchema = z.strictObject({
  items: z.array(checksumApprovalSchema).max(200),
  next: z.string().max(64).optional(),
});

export const declareAgentConfiguration = operation({
  name: "declareAgentConfiguration",
  method: "post",
  path: "/v1/agents/{id}/configuration",
  summary:
    "Records the checksum of what an agent says of its own configuration; it gives nothing and takes nothing.",
  anyOf: ["report"],
  params: idParams("agent"),
  body: agentConfigurationSchema,
  answer: declaredConfigurationSchema,
});
export const listAgentChecksums = operation({
  name: "listAgentChecksums",
  method: "get",
  path: "/v1/agents/{id}/checksums",
  summary: "Lists the configurations that an agent may have, and those that were withdrawn.",
  anyOf: ["admin"],
  params: idParams("agent"),
  query: listQuery(hexHashPattern),
  answer: checksumApprovalPageSchema,
});
export const approveAgentChecksum = operation({
  name: "approveAgentChecksum",
  method: "post",
  path: "/v1/agents/{id}/checksums",
  summary:
    "Approves a configuration for the agent's owner: SVIDs are issued only where one that is approved was measured.",
  anyOf: ["admin"],
  status: 201,
  params: idParams("agent"),
  body: approveChecksumRequestSchema,
  answer: checksumApprovalChangedSchema,
});
export const withdrawAgentChecksum = operation({
  name: "withdrawAgentChecksum",
  method: "delete",
  path: "/v1/agents/{id}/checksums/{checksum}",
  summary: "Withdraws a configuration: no SVID is issued to a workload that has it.",
  anyOf: ["admin"],
  params: z.strictObject({ id: anId("agent"), checksum: aChecksum }),
  answer: checksumApprovalChangedSchema,
});
