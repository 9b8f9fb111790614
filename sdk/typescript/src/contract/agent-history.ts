import { z } from "zod";
import { entryEnvelopeSchema } from "./entry-envelope.ts";
import { aLog, idParams, indexListQuery } from "./fields.ts";
import { operation } from "./operation.ts";

/** Entries in which an Agent acted, newest first. */
export const agentHistoryPageSchema = z.strictObject({
  log: aLog,
  items: z.array(z.strictObject({ index: z.int().nonnegative(), entry: entryEnvelopeSchema })).max(200),
  as_of: z
    .int()
    .nonnegative()
    .describe("Complete up to this index of the log and without it: later entries are not among these yet."),
  next: z.int().nonnegative().optional().describe("The `before` of the following page, absent on the last."),
});
export type AgentHistoryPageWire = z.infer<typeof agentHistoryPageSchema>;

export const getAgentHistory = operation({
  name: "getAgentHistory",
  method: "get",
  path: "/v1/agents/{id}/history",
  summary: "Tells what an agent did: the entries of the ledger in which it acted, newest first.",
  anyOf: ["admin", "audit"],
  params: idParams("agent"),
  query: indexListQuery
    .omit({ cursor: true })
    .extend({ before: z.coerce.number<string | number>().int().nonnegative().optional() }),
  answer: agentHistoryPageSchema,
});
