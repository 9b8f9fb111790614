import { faultText, ourWords } from "@countersign/sdk/contract/faults";
import {
  isMutation,
  type Operation,
  type ParamsSchema,
  pathOf,
  type QuerySchema,
  readsOne,
} from "@countersign/sdk/contract/operation";
import type { Request, RequestHandler, Response, Router } from "express";
import type { Logger } from "pino";
import type { z } from "zod";
import { DomainError } from "../domain/domain-error.ts";
import type { KeptAnswer } from "../journeys/idempotency/repeats.ts";
import { type Seen, stillAs } from "../journeys/record/still-as.ts";
import {
  type Authenticated,
  authenticateCaller,
  authenticatePresenter,
  type CallerDeps,
  type Presented,
} from "./caller.ts";
import { etagOf, isFresh } from "./etag.ts";
import { found } from "./found.ts";
import { jsonBody } from "./json-body.ts";
import { type OnceDeps, performOnce, type ReadThing } from "./perform-once.ts";
import { toWire } from "./wire.ts";

/** What a schema makes of what was sent; without a schema nothing is taken. */
type Parsed<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;

/** What a schema takes, left as it is by whoever reads it. */
type Unchanged<Value> = Value extends object
  ? { readonly [Member in keyof Value]: Unchanged<Value[Member]> }
  : Value;

/** One call of an operation by whom it is known, all that was sent parsed. */
export type Call<Who, Params, Query, Body> = Who & {
  readonly params: Parsed<Params>;
  readonly query: Parsed<Query>;
  readonly body: Parsed<Body>;
};

/** Sends the events of an operation that has some; it answers for itself. */
export type SendEvents = (
  authenticated: Authenticated,
  request: Request,
  response: Response,
) => Promise<void>;

export interface EndpointDeps extends CallerDeps, OnceDeps {
  readonly logger: Logger;
  /** How each thing that can be changed is read, by the path that names it; filled while the operations are mounted. */
  readonly readings: Map<string, ReadThing>;
}

/**
 * Mounts an operation: the caller is authenticated before the body is read, everything is parsed before anything is
 * done, and the answer is of the contract, as JSON. A parameter of the path that is malformed names nothing: it is
 * `not_found`, as what is unknown. A mutation heeds Idempotency-Key and If-Match; what reads one thing answers with its
 * ETag and heeds If-None-Match.
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
  answer: (call: Call<Authenticated, Params, Query, Body>) => Promise<Unchanged<z.input<Answer>>>,
  sendEvents?: SendEvents,
): void {
  const perform = async (authenticated: Authenticated, sent: Sent) =>
    toWire(operation.answer, await answer({ ...authenticated, ...parsedBy(operation, sent) }));
  route(router, operation, async (request, response) => {
    const authenticated = await authenticateCaller(deps, request, operation.anyOf);
    if (sendEvents && acceptsEvents(request)) return sendEvents(authenticated, request, response);
    const log = await begin(deps, operation, authenticated, request, response);
    if (isMutation(operation)) {
      const done = await performOnce({ ...deps, log }, operation, request, authenticated, (asking) =>
        perform(asking, request),
      );
      if (done.replayed) response.setHeader("idempotency-replayed", "true");
      return sendJson(response, done);
    }
    const read = await perform(authenticated, request);
    const text = JSON.stringify(read);
    if (operation.query) linkNext(deps, request, response, read);
    if (readsOne(operation)) return sendThing(request, response, text);
    sendJson(response, { status: operation.status ?? 200, text });
  });
}

/** A thing as its operation answers it, and what others may change of it. */
export interface SeenThing<Answer> {
  readonly seen: Seen;
  readonly answer: Answer;
}

/**
 * Mounts an operation that reads one thing which there are changes to: its ETag is what they take in If-Match. Without this a
 * change with If-Match is refused, for there is nothing to compare.
 */
export function mountThing<Params extends ParamsSchema, Answer extends z.ZodType>(
  router: Router,
  deps: EndpointDeps,
  operation: Operation<Params, undefined, undefined, Answer>,
  read: (
    call: Call<Authenticated, Params, undefined, undefined>,
  ) => Promise<SeenThing<Unchanged<z.input<Answer>>>>,
): void {
  const readSeen = (authenticated: Authenticated, params: Request["params"]) =>
    read({ ...authenticated, ...parsedBy(operation, { params, query: {}, body: undefined }) });
  deps.readings.set(operation.path, async (authenticated, params) =>
    stillAs((await readSeen(authenticated, params)).seen),
  );
  route(router, operation, async (request, response) => {
    const authenticated = await authenticateCaller(deps, request, operation.anyOf);
    await begin(deps, operation, authenticated, request, response);
    const { seen, answer } = await readSeen(authenticated, request.params);
    sendThing(request, response, JSON.stringify(toWire(operation.answer, answer)), stillAs(seen));
  });
}

/**
 * Mounts an operation that is called under the very access token that it is about. What it answers holds for that moment,
 * so a repeat under an Idempotency-Key has no first answer to get.
 */
export function mountForPresenter<
  Params extends ParamsSchema | undefined,
  Query extends QuerySchema | undefined,
  Body extends z.ZodType | undefined,
  Answer extends z.ZodType,
>(
  router: Router,
  deps: EndpointDeps,
  operation: Operation<Params, Query, Body, Answer>,
  answer: (call: Call<Presented, Params, Query, Body>) => Promise<Unchanged<z.input<Answer>>>,
): void {
  route(router, operation, async (request, response) => {
    const presented = await authenticatePresenter(deps, request);
    if (request.get("idempotency-key") !== undefined)
      throw new DomainError("invalid_request", "Idempotency-Key: this is decided anew each time");
    await begin(deps, operation, presented, request, response);
    const wire = toWire(operation.answer, await answer({ ...presented, ...parsedBy(operation, request) }));
    sendJson(response, { status: operation.status ?? 200, text: JSON.stringify(wire) });
  });
}

function route(router: Router, operation: Pick<Operation, "method" | "path">, handle: RequestHandler): void {
  router[operation.method](
    pathOf(operation, (name) => `:${name}`),
    handle,
  );
}

const readBody = jsonBody();

/** Begins with a request whose sender is known: its log lines name the sender, and its body is read. */
async function begin(
  deps: EndpointDeps,
  { body, bodyBytesMax }: Pick<Operation, "body" | "bodyBytesMax">,
  { caller, context }: Pick<Authenticated, "caller" | "context">,
  request: Request,
  response: Response,
): Promise<Logger> {
  const log = logOf(response, deps.logger).child({ caller: caller.id, txn: context.txn });
  response.locals["log"] = log;
  if (body) await run(bodyBytesMax === undefined ? readBody : jsonBody(bodyBytesMax), request, response);
  return log;
}

function acceptsEvents(request: Request): boolean {
  return request.accepts(["application/json", "text/event-stream"]) === "text/event-stream";
}

/** What came with a request, before anything of it is believed. */
type Sent = Pick<Request, "params" | "query" | "body">;

function parsedBy<
  Params extends ParamsSchema | undefined,
  Query extends QuerySchema | undefined,
  Body extends z.ZodType | undefined,
>(operation: Operation<Params, Query, Body>, sent: Sent) {
  return {
    params: parsed(operation.params, (schema) => found(schema.safeParse(sent.params).data)),
    body: parsed(operation.body, (schema) => readSent(schema, sent.body)),
    query: parsed(operation.query, (schema) => readSent(schema, sent.query)),
  };
}

/**
 * What a schema makes of what was sent. Names the members that are wrong, never their values: a caller may have put a
 * secret in the wrong place.
 *
 * @throws DomainError `invalid_request`
 */
export function readSent<Value>(schema: z.ZodType<Value>, value: unknown): Value {
  const result = schema.safeParse(value, { error: ourWords });
  if (result.success) return result.data;
  throw new DomainError("invalid_request", faultText(result.error), result.error);
}

function sendThing(request: Request, response: Response, text: string, held?: object): void {
  const etag = etagOf(text, held);
  response.setHeader("etag", etag);
  if (isFresh(request, etag)) response.status(304).end();
  else sendJson(response, { status: 200, text });
}

function sendJson(response: Response, { status, text }: KeptAnswer): void {
  response.status(status).type("json").send(text);
}

/** @see RFC 8288: where the next page of a list is */
function linkNext(deps: EndpointDeps, request: Request, response: Response, page: unknown): void {
  // A number is no cursor: it is the index of an entry.
  if (typeof page !== "object" || page === null || !("next" in page) || typeof page.next !== "string") return;
  const next = new URL(request.originalUrl, deps.originAsked(request));
  next.searchParams.set("cursor", page.next);
  response.links({ next: next.href });
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
