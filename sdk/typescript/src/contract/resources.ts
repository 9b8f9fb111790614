import { z } from "zod";
import {
  anAudience,
  anId,
  aScope,
  clientFields,
  idParams,
  listQueryOf,
  pageOf,
  publicJwkSchema,
  withLedger,
} from "./fields.ts";
import { operation } from "./operation.ts";

export const createResourceRequestSchema = z.strictObject({
  audience: anAudience,
  scope: aScope,
  owner: anId("user").optional(),
  /** Whether every User of the organization may grant on it, not its owner alone. */
  open: z.boolean().default(false),
  jwk: publicJwkSchema.optional(),
});
export const resourceSchema = z.strictObject({
  ...clientFields("resource"),
  audience: z.string().max(512),
  scope: z.array(z.string().max(128)).max(64),
  owner: anId("user").optional(),
  open: z.boolean(),
});
export const resourceCreatedSchema = resourceSchema.extend(withLedger);
export const resourcePageSchema = pageOf(resourceSchema);

export const createResource = operation({
  name: "createResource",
  method: "post",
  path: "/v1/resources",
  summary: "Registers a resource server by the URI that tokens for it name.",
  anyOf: ["admin"],
  status: 201,
  body: createResourceRequestSchema,
  answer: resourceCreatedSchema,
});
export const listResources = operation({
  name: "listResources",
  method: "get",
  path: "/v1/resources",
  summary: "Lists the resource servers of the organization.",
  anyOf: ["admin"],
  query: listQueryOf("resource"),
  answer: resourcePageSchema,
});
export const getResource = operation({
  name: "getResource",
  method: "get",
  path: "/v1/resources/{id}",
  summary: "Shows one resource server.",
  anyOf: ["admin"],
  params: idParams("resource"),
  answer: resourceSchema,
});
