import { z } from "zod";
import { anOrganization } from "./fields.ts";
import { operation } from "./operation.ts";

/** How the server and all it depends on are, each with a word on what to do where it is not well. */
export const serverStatusSchema = z.strictObject({
  issuer: z.string().max(512),
  organization: anOrganization,
  version: z.string().max(64),
  ready: z.boolean(),
  checks: z
    .array(
      z.strictObject({
        name: z.string().max(64),
        state: z.enum(["ok", "warning", "failed"]),
        detail: z.string().max(1024),
      }),
    )
    .max(64),
});
export type ServerStatusWire = z.infer<typeof serverStatusSchema>;

export const getServerStatus = operation({
  name: "getServerStatus",
  method: "get",
  path: "/v1/status",
  summary: "Shows how the server and each of its dependencies are.",
  anyOf: ["admin", "audit"],
  answer: serverStatusSchema,
});
