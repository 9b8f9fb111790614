import type { Request, RequestHandler, Response, Router } from "express";
import type { Logger } from "pino";
import type { z } from "zod";
import { type ApiScope, type Authenticated, authenticateCaller, type CallerDeps } from "./caller.ts";
import { jsonBody } from "./json-body.ts";

/** One authenticated call, its body and query parsed. */
export interface Call<Body, Query> extends Authenticated {
  readonly params: Readonly<Record<string, string>>;
  readonly body: Body;
  readonly query: Query;
}

/** One route of the API: what it takes, which scopes open it (any one of them), how it answers. */
export interface Endpoint<Body, Query> {
  readonly method: "get" | "post";
  readonly path: string;
  readonly anyOf: readonly ApiScope[];
  /** 200 unless told. */
  readonly status?: number;
  readonly body?: z.ZodType<Body>;
  readonly query?: z.ZodType<Query>;
  answer(call: Call<Body, Query>): Promise<unknown>;
}

export interface EndpointDeps extends CallerDeps {
  readonly logger: Logger;
}

/**
 * Mounts a route: the caller is authenticated before its body is read, body and query are parsed before anything is
 * done, and the answer is JSON.
 */
export function mount<Body = undefined, Query = undefined>(
  router: Router,
  deps: EndpointDeps,
  endpoint: Endpoint<Body, Query>,
): void {
  const readBody = jsonBody();
  const handle: RequestHandler = async (request, response) => {
    const authenticated = await authenticateCaller(deps, request, endpoint.anyOf);
    const { caller, context } = authenticated;
    response.locals["log"] = logOf(response, deps.logger).child({ caller: caller.id, txn: context.txn });
    if (endpoint.body) await run(readBody, request, response);
    const answer = await endpoint.answer({
      ...authenticated,
      params: paramsOf(request),
      body: parseWith(endpoint.body, request.body),
      query: parseWith(endpoint.query, request.query),
    });
    response.status(endpoint.status ?? 200).json(answer);
  };
  router[endpoint.method](endpoint.path, handle);
}

/** What a schema makes of a value; without a schema the route takes nothing, and the type says so. */
function parseWith<Value>(schema: z.ZodType<Value> | undefined, value: unknown): Value {
  return schema === undefined ? (undefined as Value) : schema.parse(value);
}

/** Runs one middleware to its end. */
function run(middleware: RequestHandler, request: Request, response: Response): Promise<void> {
  return new Promise((resolve, reject) => {
    middleware(request, response, (error?: unknown) => (error === undefined ? resolve() : reject(error)));
  });
}

function paramsOf(request: Request): Record<string, string> {
  const params: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.params)) {
    params[name] = Array.isArray(value) ? value.join("/") : String(value);
  }
  return params;
}

/** The logger of this request. */
export function logOf(response: Response, fallback: Logger): Logger {
  const log: unknown = response.locals["log"];
  return isLogger(log) ? log : fallback;
}

function isLogger(value: unknown): value is Logger {
  return typeof value === "object" && value !== null && "child" in value && "error" in value;
}
