import { z } from "zod";
import { aName, clientFields, idParams, listQueryOf, pageOf, publicJwkSchema, withLedger } from "./fields.ts";
import { operation } from "./operation.ts";

export const createOperatorRequestSchema = z.strictObject({ name: aName, jwk: publicJwkSchema });
export const operatorSchema = z.strictObject({
  ...clientFields("operator"),
  name: aName,
});
export const operatorCreatedSchema = operatorSchema.extend(withLedger);
export const operatorPageSchema = pageOf(operatorSchema);

export const createOperator = operation({
  name: "createOperator",
  method: "post",
  path: "/v1/operators",
  summary: "Registers an operator, with the public half of its key.",
  anyOf: ["admin"],
  status: 201,
  body: createOperatorRequestSchema,
  answer: operatorCreatedSchema,
});
export const listOperators = operation({
  name: "listOperators",
  method: "get",
  path: "/v1/operators",
  summary: "Lists the operators of the organization.",
  anyOf: ["admin"],
  query: listQueryOf("operator"),
  answer: operatorPageSchema,
});
export const getOperator = operation({
  name: "getOperator",
  method: "get",
  path: "/v1/operators/{id}",
  summary: "Shows one operator.",
  anyOf: ["admin"],
  params: idParams("operator"),
  answer: operatorSchema,
});
