import type { OpenApiDocument, OpenApiTokenScheme } from "@countersign/sdk/contract/openapi-types";
import { type Html, html, joined, prose, tableOf } from "./html.ts";
import { type Described, operationToHtml, type ReferenceLinks } from "./operation.ts";
import { schemaToHtml } from "./schema.ts";
import { referenceStyle } from "./style.ts";

/**
 * The reference of an API as one HTML page: an anchor for each operation (its id) and each schema (`schema-<name>`), no
 * script, and nothing fetched from elsewhere. Its links are those of a server, unless it is published without one.
 */
export function referencePage(document: OpenApiDocument, links: ReferenceLinks = served): string {
  const { info, tags, components } = document;
  const all = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
  );
  const groups = tags.map(({ name }) => ({
    name,
    those: all.filter((one) => one.operation.tags.includes(name)),
  }));
  const schemas = Object.entries(components.schemas).sort(([one], [other]) => one.localeCompare(other, "en"));
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${info.title} ${info.version}</title>
<style>${{ html: referenceStyle }}</style>
</head>
<body>
<nav aria-label="Contents">
<a class="title" href="#top">${info.title}</a>
${groups.map(({ name, those }) => html`<h2>${name}</h2><ul>${those.map(toContents)}</ul>`)}
<h2>schemas</h2>
<ul>${schemas.map(([name]) => html`<li><a href="#schema-${name}">${name}</a></li>`)}</ul>
</nav>
<main id="top">
<header>
<h1>${info.title} <small>${info.version}</small></h1>
<p>${info.description}</p>
${accessToHtml(document, links)}
</header>
${groups.map(({ name, those }) => html`<h2 id="tag-${name}">${name}</h2>${those.map((one) => operationToHtml(components.schemas, links, one))}`)}
<h2 id="schemas">schemas</h2>
${schemas.map(([name, schema]) => html`<section id="schema-${name}"><h3>${name}</h3>${schemaToHtml(schema)}</section>`)}
</main>
</body>
</html>
`;
  return page.html;
}

/** Those of `/docs/api`. */
const served: ReferenceLinks = {
  openApi: "../v1/openapi.json",
  errorPage: (code) => `errors/${code}`,
};

function accessToHtml({ servers, components }: OpenApiDocument, { openApi }: ReferenceLinks): Html {
  const described = Object.values(components.securitySchemes).map(
    (scheme) => html`<p>${prose(scheme.description)}</p>
${scheme.type === "oauth2" ? scopesToHtml(scheme) : undefined}`,
  );
  return html`<p>Served at ${joined(
    servers.map(({ url }) => html`<code>${url}</code>`),
    ", ",
  )}; the same as OpenAPI: <a href="${openApi}"><code>/v1/openapi.json</code></a>.</p>
${described}`;
}

function scopesToHtml({ flows }: OpenApiTokenScheme): Html {
  return tableOf(
    Object.entries(flows.clientCredentials.scopes).map(([scope, meaning]) => [scope, html`${meaning}`]),
  );
}

function toContents({ method, operation: { operationId } }: Described): Html {
  return html`<li><a href="#${operationId}"><span class="method ${method}">${method}</span>${operationId}</a></li>`;
}
