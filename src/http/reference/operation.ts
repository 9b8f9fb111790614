import type {
  JsonSchema,
  OpenApiContent,
  OpenApiOperation,
  OpenApiParameter,
  OpenApiResponse,
} from "@countersign/sdk/contract/openapi-types";
import { type Html, html, joined, prose, tableOf } from "./html.ts";
import { memberToHtml, schemaToHtml } from "./schema.ts";

/** An operation, and where a document has it. */
export interface Described {
  readonly method: string;
  readonly path: string;
  readonly operation: OpenApiOperation;
}

type Schemas = Readonly<Record<string, JsonSchema>>;

/** Where a page finds what it links to; relative to itself, so that it can be moved together with that. */
export interface ReferenceLinks {
  readonly openApi: string;
  readonly errorPage: (code: string) => string;
}

/** The section of one operation; its anchor is the operation's id. */
export function operationToHtml(
  schemas: Schemas,
  links: ReferenceLinks,
  { method, path, operation }: Described,
): Html {
  const { operationId, summary, security, parameters, requestBody, responses } = operation;
  const isNodes = security.some((requirement) => "node" in requirement);
  const scopes = security.flatMap((requirement) => Object.values(requirement).flat());
  const answers = Object.entries(responses).filter(([status]) => Number(status) < 400);
  const refusals = Object.entries(responses).filter(([status]) => Number(status) >= 400);
  return html`<section id="${operationId}">
<h3><a href="#${operationId}">${operationId}</a></h3>
<p class="address"><span class="method ${method}">${method}</span><code>${path}</code></p>
<p>${summary}</p>
<p class="scopes">${isNodes ? html`A node's X.509-SVID` : undefined}${
    scopes.length === 0
      ? undefined
      : html`Scope ${joined(
          scopes.map((scope) => html`<code>${scope}</code>`),
          " or ",
        )}`
  }</p>
${["path", "query"].map((place) => parametersToHtml(place, parameters))}
${requestBody && html`<h4>Body</h4>${bodyToHtml(schemas, requestBody.content)}`}
<h4>Answer</h4>
${tableOf(answers.map(([status, answer]) => [status, answerToHtml(answer)]))}
<details><summary>Headers and refusals</summary>
${parametersToHtml("header", parameters)}
<h4>refusals</h4>
${tableOf(refusals.map(([status, { description }]) => [status, linkedCodes(links, description)]))}</details>
</section>`;
}

function parametersToHtml(place: string, parameters: readonly OpenApiParameter[]): Html {
  const rows = parameters
    .filter((one) => one.in === place)
    .map(({ name, schema, required, description }) => memberToHtml(name, schema, required, description));
  return rows.length === 0 ? html`` : html`<h4>${place}</h4><table><tbody>${rows}</tbody></table>`;
}

/** A body shows its members where it is; what several may be is a choice of links. */
function bodyToHtml(schemas: Schemas, content: OpenApiContent): Html {
  return html`${Object.values(content).map(({ schema: { $ref = "", ...schema } }) =>
    schemaToHtml(schemas[$ref.slice($ref.lastIndexOf("/") + 1)] ?? schema),
  )}`;
}

function answerToHtml({ description, headers = {}, content = {} }: OpenApiResponse): Html {
  const schemas = Object.values(content).map(({ schema }) => schemaToHtml(schema));
  const named = Object.entries(headers).map(
    ([name, header]) => html`<p><code>${name}</code> ${prose(header.description)}</p>`,
  );
  return html`${schemas.length === 0 ? html`<p>${prose(description)}</p>` : schemas}${named}`;
}

/** A refusal's codes, each with a link to its page. */
function linkedCodes({ errorPage }: ReferenceLinks, description: string): Html {
  const pieces = description
    .split("`")
    .map((piece, at) =>
      at % 2 === 1 ? html`<a href="${errorPage(piece)}"><code>${piece}</code></a>` : html`${piece}`,
    );
  return joined(pieces, "");
}
