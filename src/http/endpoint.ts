import {
  type Operation,
  type ParamsSchema,
  pathOf,
  type QuerySchema,
} from "@countersign/sdk/contract/operation";
import type { Request, RequestHandler, Response, Router } from "express";
import type { Logger } from "pino";
import type { z } from "zod";
import { type Authenticated, authenticateCaller, type CallerDeps } from "./caller.ts";
import { found } from "./found.ts";
import { jsonBody } from "./json-body.ts";
import { toWire } from "./wire.ts";

/** What a schema makes of what was sent; without a schema nothing is taken. */
type Parsed<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;

/** What a schema takes, left as it is by whoever reads it. */
type Unchanged<Value> = Value extends object
  ? { readonly [Member in keyof Value]: Unchanged<Value[Member]> }
  : Value;

/** One authenticated call of an operation, all that was sent parsed. */
export interface Call<Params, Query, Body> extends Authenticated {
  readonly params: Parsed<Params>;
  readonly query: Parsed<Query>;
  readonly body: Parsed<Body>;
}

export interface EndpointDeps extends CallerDeps {
  readonly logger: Logger;
}

/**
 * Mounts an operation: the caller is authenticated before the body is read, everything is parsed before anything is
 * done, and the answer is of the contract, as JSON. A parameter of the path that is malformed names nothing: it is
 * `not_found`, as what is unknown.
 */
export function mount<
  Params extends ParamsSchema | undefined,
  Query extends QuerySchema | undefined,
  Body extends z.ZodType | undefined,
  Answer extends z.ZodType,
>(
  router: Router,
  deps: EndpointDeps,
  operation: Operation<Params, Query, Body, Answer>,
  answer: (call: Call<Params, Query, Body>) => Promise<Unchanged<z.input<Answer>>>,
): void {
  const readBody = jsonBody();
  const handle: RequestHandler = async (request, response) => {
    const authenticated = await authenticateCaller(deps, request, operation.anyOf);
    const { caller, context } = authenticated;
    response.locals["log"] = logOf(response, deps.logger).child({ caller: caller.id, txn: context.txn });
    if (operation.body) await run(readBody, request, response);
    const answered = await answer({
      ...authenticated,
      params: parsed(operation.params, (schema) => found(schema.safeParse(request.params).data)),
      body: parsed(operation.body, (schema) => schema.parse(request.body)),
      query: parsed(operation.query, (schema) => schema.parse(request.query)),
    });
    response.status(operation.status ?? 200).json(toWire(operation.answer, answered));
  };
  router[operation.method](
    pathOf(operation, (name) => `:${name}`),
    handle,
  );
}

function parsed<Schema extends z.ZodType | undefined>(
  schema: Schema | undefined,
  parse: (schema: z.ZodType) => unknown,
): Parsed<Schema> {
  // The type says the same: what the schema makes of it, undefined without one.
  return (schema && parse(schema)) as Parsed<Schema>;
}

/** Runs one middleware to its end. */
function run(middleware: RequestHandler, request: Request, response: Response): Promise<void> {
  return new Promise((resolve, reject) => {
    middleware(request, response, (error?: unknown) => (error === undefined ? resolve() : reject(error)));
  });
}

/** The logger of this request. */
export function logOf(response: Response, fallback: Logger): Logger {
  const log: unknown = response.locals["log"];
  return isLogger(log) ? log : fallback;
}

function isLogger(value: unknown): value is Logger {
  return typeof value === "object" && value !== null && "child" in value && "error" in value;
}
