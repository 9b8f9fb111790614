import { z } from "zod";
import { agentChangedSchema } from "./agents.ts";
import { grantRequestSchema, narrowRequestSchema } from "./delegations.ts";
import { ledgerPositionSchema, publicJwkSchema } from "./fields.ts";
import { nodeChangeSchema } from "./node-face.ts";
import type { JsonSchema } from "./openapi-types.ts";
import type { Operation } from "./operation.ts";
import { problemSchema } from "./problem.ts";
import { reachItemSchema, reachNowSchema } from "./reach.ts";
import { revocationReceiptSchema } from "./revocation-receipt.ts";
import { revocationEventSchema } from "./revocations.ts";

/** Those that several operations share, or that stand within another. */
const shared: Readonly<Record<string, z.ZodType>> = {
  AgentChanged: agentChangedSchema,
  GrantRequest: grantRequestSchema,
  LedgerPosition: ledgerPositionSchema,
  NodeChange: nodeChangeSchema,
  NarrowRequest: narrowRequestSchema,
  Problem: problemSchema,
  PublicJwk: publicJwkSchema,
  ReachItem: reachItemSchema,
  ReachNow: reachNowSchema,
  RevocationEvent: revocationEventSchema,
  RevocationReceipt: revocationReceiptSchema,
};

/** The schemas of a document: those of its components by name, and how each body and answer refers to its own. */
export interface OpenApiSchemas {
  readonly components: Readonly<Record<string, JsonSchema>>;
  readonly refTo: (schema: z.ZodType) => JsonSchema;
}

/**
 * Makes JSON Schemas of all that the operations take and answer: bodies as they are sent, answers as they are received.
 * One that is not `shared` is named after the first operation that has it, and what a `get` answers after the thing.
 *
 * @throws Error for a schema that has no JSON Schema
 */
export function openApiSchemas(operations: readonly Operation[]): OpenApiSchemas {
  const names = new Map(Object.entries(shared).map(([name, schema]) => [schema, name]));
  const gets = operations.filter(({ name }) => name.startsWith("get"));
  for (const { name, answer } of gets) if (!names.has(answer)) names.set(answer, name.slice("get".length));
  for (const { name, answer, body } of operations) {
    if (!names.has(answer) && !(answer instanceof z.ZodNever))
      names.set(answer, `${capitalised(name)}Answer`);
    if (body !== undefined && !names.has(body)) names.set(body, `${capitalised(name)}Request`);
  }
  const bodies = new Set([...Object.values(shared), ...operations.map(({ body }) => body)]);
  const sent = [...names].filter(([schema]) => bodies.has(schema));
  const components = { ...componentsOf([...names], "output"), ...componentsOf(sent, "input") };
  return { components, refTo: (schema) => ({ $ref: refOf(names.get(schema) ?? "") }) };
}

/** One member of a query, or of a path's parameters. */
export interface MemberSchema {
  readonly name: string;
  readonly required: boolean;
  readonly schema: JsonSchema;
}

/** The members of an object as they are sent. */
export function membersOf(object: z.ZodType): readonly MemberSchema[] {
  const { properties = {}, required = [] } = z.toJSONSchema(object, { io: "input", ...settings });
  return Object.entries(properties).map(([name, property]) => ({
    name,
    required: required.includes(name),
    schema: typeof property === "boolean" ? {} : property,
  }));
}

function componentsOf(
  named: readonly (readonly [z.ZodType, string])[],
  io: "input" | "output",
): Record<string, JsonSchema> {
  const registry = z.registry<{ id: string }>();
  for (const [schema, id] of named) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { io, uri: refOf, ...settings });
  if ("__shared" in schemas) throw new Error("a schema that holds itself needs a name among the shared ones");
  return Object.fromEntries(
    Object.entries(schemas).map(([name, { $schema: _, $id: __, ...schema }]) => [name, schema]),
  );
}

/** Fields say by `meta` what no JSON Schema can be made of; whatever does not is found by a test. */
const settings = {
  unrepresentable: "any",
  override: ({ jsonSchema }: { jsonSchema: JsonSchema }) => {
    // `starts_with` is no format of JSON Schema; next to one that is, the expression that checks it is noise.
    if (jsonSchema.format === "starts_with") delete jsonSchema.format;
    if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
    // The largest safe integer says nothing either.
    if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
  },
} as const;

function refOf(name: string): string {
  return `#/components/schemas/${name}`;
}

function capitalised(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
