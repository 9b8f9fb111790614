import { z } from "zod";
import {
  aName,
  anId,
  anOrganization,
  aStatus,
  aTime,
  idParams,
  listQueryOf,
  pageOf,
  withLedger,
} from "./fields.ts";
import { operation } from "./operation.ts";
import { reachNowSchema } from "./reach.ts";
import { revocationReceiptSchema } from "./revocation-receipt.ts";

export const createUserRequestSchema = z.strictObject({ name: aName, email: z.email().max(254).optional() });
export const userSchema = z.strictObject({
  id: anId("user"),
  organization: anOrganization,
  name: aName,
  email: z.string().max(254).optional(),
  status: aStatus,
  created_at: aTime,
});
export const userCreatedSchema = userSchema.extend(withLedger);
export const userPageSchema = pageOf(userSchema);

export const createUser = operation({
  name: "createUser",
  method: "post",
  path: "/v1/users",
  summary: "Registers a person, who can own agents and resources.",
  anyOf: ["admin"],
  status: 201,
  body: createUserRequestSchema,
  answer: userCreatedSchema,
});
export const listUsers = operation({
  name: "listUsers",
  method: "get",
  path: "/v1/users",
  summary: "Lists the users of the organization.",
  anyOf: ["admin"],
  query: listQueryOf("user"),
  answer: userPageSchema,
});
export const getUser = operation({
  name: "getUser",
  method: "get",
  path: "/v1/users/{id}",
  summary: "Shows one user.",
  anyOf: ["admin"],
  params: idParams("user"),
  answer: userSchema,
});
export const offboardUser = operation({
  name: "offboardUser",
  method: "post",
  path: "/v1/users/{id}/offboard",
  summary: "Ends a user for good, and at once all that rests on them; answers with the receipt.",
  anyOf: ["admin"],
  params: idParams("user"),
  answer: revocationReceiptSchema,
});
export const getUserReach = operation({
  name: "getUserReach",
  method: "get",
  path: "/v1/users/{id}/reach",
  summary: "Shows what would end with a user if they were offboarded now.",
  anyOf: ["admin"],
  params: idParams("user"),
  answer: reachNowSchema,
});
