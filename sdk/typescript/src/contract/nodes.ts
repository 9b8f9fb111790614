import { z } from "zod";
import { aName, anId, aSpiffeId, aTime, idParams, listQueryOf, pageOf, withLedger } from "./fields.ts";
import { operation } from "./operation.ts";

export const joinTokenRequestSchema = z.strictObject({
  name: aName.optional().describe("What the node that joins with it is called."),
  node: anId("node")
    .optional()
    .describe("The node that a machine is again which joins with it; without one, it becomes another."),
  expires_in: z.int().min(10).max(86_400).default(600).describe("In seconds."),
});
/** What one machine joins with, once; told in this answer alone. */
export const joinTokenSchema = z.strictObject({
  id: anId("joinToken"),
  token: z.string().max(64),
  expires_at: aTime,
  name: aName.optional(),
  node: anId("node").optional(),
  ...withLedger,
});
/** A machine that serves the Workload API to what runs on it. */
export const nodeSchema = z.strictObject({
  id: anId("node"),
  spiffe_id: aSpiffeId,
  name: aName,
  attestation: z
    .enum(["join_token", "x509pop", "k8s_psat"])
    .describe(
      "By what the machine joined that did so last; the same holds for subject, selectors and attested_at.",
    ),
  subject: z.string().max(512),
  selectors: z.array(z.string().max(512)).max(32),
  status: z.enum(["active", "evicted"]),
  attested_at: aTime,
  svid: z
    .strictObject({ serial: z.string().max(64), expires_at: aTime })
    .optional()
    .describe("Its latest X.509-SVID."),
  spent_svid_shown_at: aTime
    .optional()
    .describe(
      "When an SVID of it was last shown that another had followed: somebody has a copy, or had one.",
    ),
});
export const nodeChangedSchema = nodeSchema.extend(withLedger);

export const createJoinToken = operation({
  name: "createJoinToken",
  method: "post",
  path: "/v1/join-tokens",
  summary: "Makes a token with which one machine joins as a node, once.",
  anyOf: ["admin"],
  status: 201,
  answersSecret: true,
  body: joinTokenRequestSchema,
  answer: joinTokenSchema,
});
export const listNodes = operation({
  name: "listNodes",
  method: "get",
  path: "/v1/nodes",
  summary: "Lists the nodes, those that were evicted too.",
  anyOf: ["admin"],
  query: listQueryOf("node"),
  answer: pageOf(nodeSchema),
});
export const getNode = operation({
  name: "getNode",
  method: "get",
  path: "/v1/nodes/{id}",
  summary: "Shows one node.",
  anyOf: ["admin"],
  params: idParams("node"),
  answer: nodeSchema,
});
export const evictNode = operation({
  name: "evictNode",
  method: "post",
  path: "/v1/nodes/{id}/evict",
  summary: "Ends a node: it gets nothing any more, and its machine is let in again by an operator alone.",
  anyOf: ["admin"],
  params: idParams("node"),
  answer: nodeChangedSchema,
});
export const readmitNode = operation({
  name: "readmitNode",
  method: "post",
  path: "/v1/nodes/{id}/readmit",
  summary: "Lets the machine of a node that was evicted join again, as this node, by fresh evidence.",
  anyOf: ["admin"],
  params: idParams("node"),
  answer: nodeChangedSchema,
});
