import { type Operation, pathOf } from "@countersign/sdk/contract/operation";
import { z } from "zod";

/** What can be put wherever an operation takes something. */
export interface Material {
  /** Ids, audiences, numbers: each is put where it fits. */
  readonly texts: readonly string[];
  readonly jwk: object;
}

type JsonSchema = z.core.JSONSchema.JSONSchema;

/** The paths of an operation, with each text in the place of each parameter. @throws Error when none fits */
export function pathsOf(operation: Operation, { texts }: Material): readonly string[] {
  const names: string[] = [];
  pathOf(operation, (name) => `${names.push(name)}`);
  let paths = [operation.path as string];
  for (const name of names) {
    const shape = operation.params instanceof z.ZodObject ? operation.params.shape[name] : undefined;
    const fitting = texts.filter((text) => shape?.safeParse(text).success);
    if (fitting.length === 0) throw new Error(`${operation.name}: nothing here fits its parameter ${name}`);
    paths = paths.flatMap((path) =>
      fitting.map((text) => path.replace(`{${name}}`, encodeURIComponent(text))),
    );
  }
  return paths;
}

/** The queries of an operation, none among them, with each text in the place of each member that it fits. */
export function queriesOf({ query }: Operation, { texts }: Material): readonly string[] {
  if (!(query instanceof z.ZodObject)) return [""];
  const members = Object.entries<z.ZodType>(query.shape).flatMap(([name, schema]) =>
    texts
      .filter((text) => schema.safeParse(text).success)
      .map((text) => `?${new URLSearchParams({ [name]: text })}`),
  );
  return ["", ...members];
}

/** Bodies that an operation understands: the least that it takes, and all. @throws Error when none can be made */
export function bodiesOf({ name, body }: Operation, material: Material): readonly unknown[] {
  if (body === undefined) return [];
  const schema = z.toJSONSchema(body, { io: "input", unrepresentable: "any" });
  const made = (schema.anyOf ?? [schema]).flatMap((one) =>
    [true, false].map((least) => fill(one, material, least)),
  );
  if (!made.some((value) => body.safeParse(value).success))
    throw new Error(`${name}: no body can be made of what is here`);
  return made;
}

/** A value of a schema. */
function fill(schema: JsonSchema | boolean, material: Material, least: boolean): unknown {
  if (typeof schema === "boolean") return {};
  const { anyOf, const: only, enum: [first] = [], type } = schema;
  if (anyOf?.[0] !== undefined) return fill(anyOf[0], material, least);
  if (only !== undefined) return only;
  if (first !== undefined) return first;
  switch (type) {
    case "object":
      return fillObject(schema, material, least);
    case "array":
      return typeof schema.items === "object" && !Array.isArray(schema.items)
        ? [fill(schema.items, material, least)]
        : [];
    case "string":
      return fillText(schema, material);
    case "integer":
    case "number":
      return Math.max(1, schema.minimum ?? 1);
    case "boolean":
      return true;
    default:
      return {};
  }
}

function fillObject(
  { properties = {}, required = [] }: JsonSchema,
  material: Material,
  least: boolean,
): object {
  const members = Object.entries(properties).filter(([name]) => !least || required.includes(name));
  return Object.fromEntries(
    members.map(([name, member]) => [name, name === "jwk" ? material.jwk : fill(member, material, least)]),
  );
}

function fillText({ pattern, format }: JsonSchema, { texts }: Material): string {
  if (format === "date-time") return new Date(Date.now() + 600_000).toISOString();
  if (format === "uri") return texts.find((text) => text.startsWith("https:")) ?? "";
  if (format === "email") return texts.find((text) => text.includes("@")) ?? "";
  if (pattern === undefined) return "text";
  return texts.find((text) => new RegExp(pattern).test(text)) ?? "text";
}
