import { z } from "zod";
import { selectorCharsMax } from "../model/selector.ts";
import { anId, aSpiffeId, aTime, aTrustDomain, idParams, listQueryOf, pageOf, withLedger } from "./fields.ts";
import { operation } from "./operation.ts";

const aSelector = z.string().min(1).max(selectorCharsMax);
const aDnsName = z
  .string()
  .max(253)
  .regex(
    /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
    "must be a DNS name",
  );
const x509Ttl = z.int().min(60).max(3600);
const jwtTtl = z.int().min(30).max(300);
const aHint = z.string().min(1).max(64);

export const createEntryRequestSchema = z.strictObject({
  agent: anId("agent"),
  selectors: z
    .array(aSelector)
    .min(1)
    .max(32)
    .describe(
      "All must be true of a workload, for it to be the agent: `unix:uid:1000`, `unix:path:/usr/bin/agent`.",
    ),
  parent: anId("node")
    .optional()
    .describe("The node that attests and serves; without it, the server itself."),
  x509_ttl_seconds: x509Ttl.default(3600),
  jwt_ttl_seconds: jwtTtl.default(300),
  dns_names: z.array(aDnsName).max(16).default([]),
  hint: aHint.optional().describe("Tells a workload that has several identities which one this is."),
  federates_with: z.array(aTrustDomain).max(64).default([]),
});
/** Which workloads get an Agent's SVIDs. */
export const entrySchema = z.strictObject({
  id: anId("entry"),
  agent: anId("agent"),
  spiffe_id: aSpiffeId,
  parent: anId("node").optional(),
  selectors: z.array(aSelector).max(32),
  x509_ttl_seconds: x509Ttl,
  jwt_ttl_seconds: jwtTtl,
  dns_names: z.array(z.string().max(253)).max(16),
  hint: aHint.optional(),
  federates_with: z.array(z.string().max(255)).max(64),
  status: z.enum(["active", "deleted"]),
  created_at: aTime,
});
export const entryChangedSchema = entrySchema.extend(withLedger);

export const createEntry = operation({
  name: "createEntry",
  method: "post",
  path: "/v1/entries",
  summary:
    "Says which workloads are an agent: those of which attestation finds all selectors true get its SVIDs.",
  anyOf: ["admin"],
  status: 201,
  body: createEntryRequestSchema,
  answer: entryChangedSchema,
});
export const listEntries = operation({
  name: "listEntries",
  method: "get",
  path: "/v1/entries",
  summary: "Lists the registration entries: all, or those of an agent, of a node, with a selector.",
  anyOf: ["admin"],
  query: listQueryOf("entry").extend({
    agent: anId("agent").optional(),
    parent: anId("node").optional(),
    selector: aSelector.optional(),
  }),
  answer: pageOf(entrySchema),
});
export const getEntry = operation({
  name: "getEntry",
  method: "get",
  path: "/v1/entries/{id}",
  summary: "Shows one registration entry.",
  anyOf: ["admin"],
  params: idParams("entry"),
  answer: entrySchema,
});
export const deleteEntry = operation({
  name: "deleteEntry",
  method: "delete",
  path: "/v1/entries/{id}",
  summary: "Ends a registration entry: no SVID is issued on it any more.",
  anyOf: ["admin"],
  params: idParams("entry"),
  answer: entryChangedSchema,
});
