import type { JsonSchema } from "@countersign/sdk/contract/openapi-types";
import { type Html, html, joined, prose } from "./html.ts";

type Sub = JsonSchema | boolean | undefined;

/** A schema in full: an object with a row for each member, any other in a few words. */
export function schemaToHtml(schema: JsonSchema): Html {
  const { properties, required = [] } = schema;
  if (properties === undefined) return html`<p>${typeToHtml(schema)}</p>`;
  const rows = Object.entries(properties).map(([name, member]) =>
    memberToHtml(name, member, required.includes(name)),
  );
  return html`<table><tbody>${rows}</tbody></table>`;
}

/** One member or parameter: its name, what it may be, and what is said of it. */
export function memberToHtml(name: string, schema: Sub, required: boolean, description?: string): Html {
  const inner = objectIn(schema);
  const said = description ?? (typeof schema === "object" ? schema.description : undefined);
  return html`<tr><th scope="row"><code>${name}</code>${required ? html`<b title="required">*</b>` : undefined}</th>
<td><span class="type">${typeToHtml(schema)}</span>${said === undefined ? undefined : html` ${prose(said)}`}
${inner && schemaToHtml(inner)}</td></tr>`;
}

/** The object whose members are to be shown within: the schema itself, or what a list holds. */
function objectIn(schema: Sub): JsonSchema | undefined {
  if (typeof schema !== "object") return undefined;
  if (schema.properties !== undefined) return schema;
  return Array.isArray(schema.items) ? undefined : objectIn(schema.items);
}

function typeToHtml(schema: Sub): Html {
  if (typeof schema !== "object") return html`anything`;
  const { $ref, anyOf, enum: values, const: only, type, items, additionalProperties } = schema;
  if ($ref !== undefined) return referenceTo($ref);
  if (anyOf !== undefined) return joined(anyOf.map(typeToHtml), " or ");
  if (only !== undefined) return html`<code>${JSON.stringify(only)}</code>`;
  if (values !== undefined)
    return joined(
      values.map((value) => html`<code>${JSON.stringify(value)}</code>`),
      " | ",
    );
  if (type === "array" && !Array.isArray(items)) return html`list${boundsOf(schema)} of ${typeToHtml(items)}`;
  if (type === "object" && typeof additionalProperties === "object")
    return html`object of ${typeToHtml(additionalProperties)}`;
  return html`${String(type ?? "anything")}${boundsOf(schema)}`;
}

function referenceTo(ref: string): Html {
  const name = ref.slice(ref.lastIndexOf("/") + 1);
  return html`<a href="#schema-${name}">${name}</a>`;
}

function boundsOf(schema: JsonSchema): Html {
  const { format, pattern, default: unless } = schema;
  const least = schema.minLength ?? schema.minimum ?? schema.minItems;
  const most = schema.maxLength ?? schema.maximum ?? schema.maxItems;
  const range = least === undefined && most === undefined ? undefined : html` ${least ?? ""}…${most ?? ""}`;
  return html`${range}${format && html` <i>${format}</i>`}${pattern && html` <code class="pattern">${pattern}</code>`}${
    unless === undefined ? undefined : html`, unless said <code>${JSON.stringify(unless)}</code>`
  }`;
}
