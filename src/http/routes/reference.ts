import { hash } from "node:crypto";
import { nodeOperations } from "@countersign/sdk/contract/node-operations";
import { openApiDocument } from "@countersign/sdk/contract/openapi";
import { operations } from "@countersign/sdk/contract/operations";
import type { RequestHandler, Router } from "express";
import { errorTable } from "../../domain/error-table.ts";
import { etagOf, isFresh } from "../etag.ts";
import { referencePage } from "../reference/page.ts";
import { referenceStyle } from "../reference/style.ts";

const described = [...operations, ...nodeOperations];

export interface ReferenceDeps {
  readonly issuer: string;
  /** Of the product. */
  readonly version: string;
}

/** `/v1/openapi.json`: what this server offers below `/v1`. `/docs/api`: the same for people, as one page. */
export function mountReference(router: Router, { issuer, version }: ReferenceDeps): void {
  const document = () => openApiDocument({ issuer, version, operations: described, problems: errorTable });
  router.get(
    "/v1/openapi.json",
    unchanging("application/json", () => JSON.stringify(document())),
  );
  const style = hash("sha256", referenceStyle, "base64");
  const page = unchanging("text/html; charset=utf-8", () => referencePage(document()));
  router.get("/docs/api", (request, response, next) => {
    response.setHeader(
      "content-security-policy",
      `default-src 'none'; style-src 'sha256-${style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    );
    return page(request, response, next);
  });
}

/** Serves a text that is the same as long as the process lives; made when it is first asked for. */
function unchanging(contentType: string, make: () => string): RequestHandler {
  let made: { readonly text: string; readonly etag: string } | undefined;
  return (request, response) => {
    if (made === undefined) {
      const text = make();
      made = { text, etag: etagOf(text) };
    }
    response.set({ "cache-control": "public, max-age=300", etag: made.etag });
    if (isFresh(request, made.etag)) response.status(304).end();
    else response.type(contentType).send(made.text);
  };
}
