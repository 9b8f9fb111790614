import { z } from "zod";
import type { ErrorCode } from "../model/error-codes.ts";
import { membersOf, type OpenApiSchemas, openApiSchemas } from "./openapi-schemas.ts";
import type {
  OpenApiDocument,
  OpenApiHeader,
  OpenApiOperation,
  OpenApiParameter,
  OpenApiResponse,
} from "./openapi-types.ts";
import { type ApiScope, isMutation, isRepeatable, type Operation, readsOne, thingOf } from "./operation.ts";
import { problemSchema } from "./problem.ts";

export interface OpenApiRequest {
  /** Base of every address; without a trailing slash. */
  readonly issuer: string;
  readonly version: string;
  readonly operations: readonly Operation[];
  /** How each code is told. */
  readonly problems: Readonly<Record<ErrorCode, { readonly status: number; readonly title: string }>>;
}

const scopes: Readonly<Record<ApiScope, string>> = {
  admin: "Administers the organization.",
  audit: "Reads the logs, the keys and the state of the server.",
  revocations: "Follows what was revoked.",
  evaluate: "Asks what policy says of others.",
  delegate: "An agent's: reads, passes on and revokes its delegations.",
  report: "An agent's or a resource's: reports actions; an agent reads its own.",
};

/** Describes the operations as OpenAPI 3.1: the same request always gives the same document. */
export function openApiDocument(request: OpenApiRequest): OpenApiDocument {
  const { issuer, version, operations } = request;
  const schemas = openApiSchemas(operations);
  const paths: Record<string, Record<string, OpenApiOperation>> = {};
  for (const operation of operations) {
    paths[operation.path] = {
      ...paths[operation.path],
      [operation.method]: describe(request, schemas, operation),
    };
  }
  return {
    openapi: "3.1.1",
    info: {
      title: "Countersign API",
      version,
      description:
        "Administration of an identity provider for AI agents. Whatever changes something is recorded in the ledger " +
        "before it is answered.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: issuer }],
    tags: [...new Set(operations.map(tagOf))].map((name) => ({ name })),
    paths,
    components: {
      schemas: schemas.components,
      securitySchemes: {
        bound: {
          type: "oauth2",
          description:
            `An access token for the resource ${issuer}/v1, bound to a key: sent as \`Authorization: DPoP …\` with a proof ` +
            "in `DPoP` for each request (RFC 9449), or as `Bearer` over mutual TLS (RFC 8705).",
          flows: { clientCredentials: { tokenUrl: `${issuer}/token`, scopes } },
        },
        node: {
          type: "mutualTLS",
          description: "A node's X.509-SVID, at the port that asks for certificates.",
        },
      },
    },
  };
}

function describe(request: OpenApiRequest, schemas: OpenApiSchemas, operation: Operation): OpenApiOperation {
  const { name, summary, body, answer, events } = operation;
  return {
    operationId: name,
    tags: [tagOf(operation)],
    summary,
    security: securityOf(operation),
    parameters: parametersOf(operation, request.operations),
    ...(body && {
      requestBody: { required: true, content: { "application/json": { schema: schemas.refTo(body) } } },
    }),
    responses: {
      [operation.status ?? 200]: {
        description: "Done.",
        ...answerHeadersOf(operation),
        content: {
          ...(!(answer instanceof z.ZodNever) && { "application/json": { schema: schemas.refTo(answer) } }),
          ...(events && { "text/event-stream": { schema: schemas.refTo(events) } }),
        },
      },
      ...(readsOne(operation) && { 304: { description: "It is as `If-None-Match` says." } }),
      ...refusalsOf(request, schemas, operation),
    },
  };
}

function securityOf({ anyOf, by }: Operation): OpenApiOperation["security"] {
  if (by === "anybody") return [];
  if (by === "node") return [{ node: [] }];
  // Of whatever scope, where the token is itself what is asked about.
  return anyOf.length === 0 ? [{ bound: [] }] : anyOf.map((scope) => ({ bound: [scope] }));
}

function tagOf({ path }: Operation): string {
  return path.split("/")[2] ?? "";
}

function isList({ query }: Operation): boolean {
  return query !== undefined && membersOf(query).some(({ name }) => name === "cursor");
}

function parametersOf(operation: Operation, all: readonly Operation[]): OpenApiParameter[] {
  const { params, query } = operation;
  const header = (name: string, charsMax: number, description: string) =>
    ({
      name,
      in: "header",
      required: false,
      description,
      schema: { type: "string", maxLength: charsMax },
    }) as const;
  const parameters: OpenApiParameter[] = [
    ...(params ? membersOf(params).map((member) => ({ ...member, in: "path" as const })) : []),
    ...(query ? membersOf(query).map((member) => ({ ...member, in: "query" as const })) : []),
  ];
  if (operation.by !== undefined) return parameters;
  parameters.push(
    header("DPoP", 8192, "A proof for this very request, unless the token is bound to a certificate."),
  );
  if (operation.events) {
    parameters.push(
      header("Last-Event-ID", 16, "The last id that a stream gave: this one goes on after it."),
    );
  }
  if (readsOne(operation)) {
    parameters.push(header("If-None-Match", 1024, "ETags; 304 if the thing still has one of them."));
  }
  if (isRepeatable(operation)) {
    const once =
      "The same for each try of one request: within a day it is done once, however often it is sent.";
    parameters.push(header("Idempotency-Key", 130, once));
    const isReadable = all.some((one) => readsOne(one) && one.path === thingOf(operation));
    if (isReadable) parameters.push(header("If-Match", 1024, "ETags; 412 unless the thing has one of them."));
  }
  return parameters;
}

function answerHeadersOf(operation: Operation): Pick<OpenApiResponse, "headers"> {
  const text = (description: string): OpenApiHeader => ({ description, schema: { type: "string" } });
  if (readsOne(operation)) return { headers: { ETag: text("Strong: changes whenever the answer does.") } };
  if (isList(operation))
    return { headers: { Link: text('Of the next page, `rel="next"`; absent on the last.') } };
  if (!isRepeatable(operation)) return {};
  const replayed = "`true` when this is the answer to an earlier request of the same key.";
  return { headers: { "Idempotency-Replayed": text(replayed) } };
}

/** Problem details by status, each with the codes that it may bear. */
function refusalsOf(
  { problems }: OpenApiRequest,
  schemas: OpenApiSchemas,
  operation: Operation,
): Record<string, OpenApiResponse> {
  const codes = codesOf(operation);
  const byStatus = Map.groupBy(codes, (code) => problems[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, those]) => [
      status,
      {
        description: those.map((code) => `\`${code}\`: ${problems[code].title}.`).join(" "),
        ...refusalHeadersOf(those),
        content: {
          "application/problem+json": {
            schema: { allOf: [schemas.refTo(problemSchema), { properties: { code: { enum: those } } }] },
          },
        },
      },
    ]),
  );
}

function refusalHeadersOf(codes: readonly ErrorCode[]): Pick<OpenApiResponse, "headers"> {
  const later = codes.some((code) => laterCodes.has(code));
  if (later)
    return { headers: { "Retry-After": { description: "In seconds.", schema: { type: "integer" } } } };
  if (!codes.includes("unauthenticated")) return {};
  return { headers: { "WWW-Authenticate": { description: "The scheme.", schema: { type: "string" } } } };
}

const laterCodes: ReadonlySet<ErrorCode> = new Set([
  "ledger_unavailable",
  "idempotency_key_in_use",
  "too_many_requests",
]);

/** What is refused without a token: no token is wrong there. */
function tokenlessCodesOf({ by, query, body, refusedWith = [] }: Operation): ErrorCode[] {
  const codes: ErrorCode[] = by === "node" ? ["unauthenticated"] : [];
  if (query || body) codes.push("invalid_request");
  if (body) codes.push("payload_too_large");
  return [
    ...new Set<ErrorCode>([...codes, ...refusedWith, "internal", "ledger_unavailable", "ledger_behind"]),
  ];
}

function codesOf(operation: Operation): ErrorCode[] {
  if (operation.by !== undefined) return tokenlessCodesOf(operation);
  const { query, body, params, refusedWith = [] } = operation;
  const mutation = isMutation(operation);
  const codes: ErrorCode[] = ["unauthenticated", "invalid_token", "use_dpop_nonce", "insufficient_scope"];
  if (query || body || params || mutation) codes.push("invalid_request");
  if (params || mutation) codes.push("not_found");
  if (body) codes.push("payload_too_large");
  if (mutation) codes.push(...(isRepeatable(operation) ? mutationCodes : decisionCodes));
  codes.push(...refusedWith, "internal", "ledger_unavailable", "ledger_behind");
  return [...new Set(codes)];
}

const decisionCodes: readonly ErrorCode[] = ["not_authorized", "entry_refused"];
const mutationCodes: readonly ErrorCode[] = [
  "not_authorized",
  "subject_not_active",
  "entry_refused",
  "conflict",
  "precondition_failed",
  "idempotency_key_in_use",
  "idempotency_key_reused",
];
