import { hash } from "node:crypto";
import { type Operation, thingOf } from "@countersign/sdk/contract/operation";
import type { ErrorCode } from "@countersign/sdk/model/error-codes";
import type { Request } from "express";
import type { Logger } from "pino";
import { DomainError } from "../domain/domain-error.ts";
import type { KeptAnswer, KeyedRequest } from "../journeys/idempotency/repeats.ts";
import { changedSince, type Demands } from "../journeys/record/append-demanded.ts";
import { type Authenticated, RefusedRequest } from "./caller.ts";
import { matches } from "./etag.ts";

/** What is known of requests that were done under a key. */
export interface Repeats {
  /** The row by which this request is done once. */
  once(request: KeyedRequest): Demands["writes"][number];
  /** What was answered to it, or undefined. @throws DomainError where it can't be answered again */
  recall(request: KeyedRequest): Promise<KeptAnswer | undefined>;
  keep(request: KeyedRequest, answer: KeptAnswer): Promise<void>;
}

/** Reads a thing for whoever may read it: what holds as long as no commit changes it. */
export type ReadThing = (
  authenticated: Authenticated,
  params: Request["params"],
) => Promise<Demands["conditions"][number]>;

export interface OnceDeps {
  readonly repeats: Repeats;
  readonly readings: ReadonlyMap<string, ReadThing>;
}

/**
 * Performs a mutation as its headers demand. Under an Idempotency-Key it is done once, and a repeat gets the first answer;
 * with If-Match it is done only to a thing that is as its caller read it.
 *
 * @param perform starts the journey; what it is given demands the same of the journey's commit
 * @throws RefusedRequest `idempotency_key_reused`, `idempotency_key_in_use`, `conflict`, `precondition_failed`, and
 *   `invalid_request` for a malformed key; whatever `perform` throws
 * @see draft-ietf-httpapi-idempotency-key-header; RFC 9110, section 13.1.1
 */
export async function performOnce(
  deps: OnceDeps & { readonly log: Logger },
  operation: Operation,
  request: Request,
  authenticated: Authenticated,
  perform: (asking: Authenticated) => Promise<unknown>,
): Promise<KeptAnswer & { readonly replayed: boolean }> {
  const keyed = keyedRequestOf(operation, request, authenticated);
  const recall = async () => {
    const kept = keyed && (await deps.repeats.recall(keyed).catch(refusing(authenticated)));
    return kept && { ...kept, replayed: true };
  };
  const before = await recall();
  if (before !== undefined) return before;
  const demands = {
    writes: keyed === undefined ? [] : [deps.repeats.once(keyed)],
    conditions: await unchangedSince(deps, operation, request, authenticated),
  };
  const demanding = demands.writes.length > 0 || demands.conditions.length > 0;
  const context = { ...authenticated.context, ...(demanding && { demands }) };
  let wire: unknown;
  try {
    wire = await perform({ ...authenticated, context });
  } catch (error) {
    // Of two that were sent at once one loses: what counts for it is what became of the other.
    const other = await recall();
    if (other !== undefined) return other;
    if (error instanceof DomainError && ofState.has(error.code))
      await unchangedSince(deps, operation, request, authenticated);
    throw error;
  }
  const answer = { status: operation.status ?? 200, text: JSON.stringify(wire) };
  // It is done and recorded, so it is answered; a repeat is told where it is recorded.
  if (keyed !== undefined)
    await deps.repeats
      .keep(keyed, answer)
      .catch((err: unknown) => deps.log.warn({ err }, "an answer is not kept"));
  return { ...answer, replayed: false };
}

/** What a journey refuses for the state that it finds: where another change made that, If-Match was to say so. */
const ofState: ReadonlySet<ErrorCode> = new Set(["conflict", "invalid_delegation", "subject_not_active"]);

/** A bare word or a structured field's string of 1 to 128 printable characters, the same with and without its quotes. */
const keyPattern = /^(?:"([\x20\x21\x23-\x5b\x5d-\x7e]{1,128})"|([\x21\x23-\x5b\x5d-\x7e]{1,128}))$/;

function keyedRequestOf(
  { answersSecret }: Operation,
  request: Request,
  { caller }: Authenticated,
): KeyedRequest | undefined {
  const header = request.get("idempotency-key");
  if (header === undefined) return undefined;
  const match = keyPattern.exec(header);
  const key = match?.[1] ?? match?.[2];
  if (key === undefined)
    throw new DomainError("invalid_request", "Idempotency-Key: must be 1 to 128 printable characters");
  const asked: unknown[] = [request.method, request.originalUrl, request.body ?? null];
  const requestHash = hash("sha256", JSON.stringify(asked), "base64url");
  const { organization, id: principal } = caller;
  return { organization, principal, key, requestHash, keepsAnswer: answersSecret !== true };
}

/** What must hold at the commit for the thing to be as `If-Match` says; nothing unless it is sent. */
async function unchangedSince(
  { readings }: OnceDeps,
  operation: Operation,
  request: Request,
  authenticated: Authenticated,
): Promise<Demands["conditions"]> {
  const ifMatch = request.get("if-match");
  if (ifMatch === undefined) return [];
  const read = readings.get(thingOf(operation) ?? "");
  // What the caller can't read has no ETag for it, and what can't be compared is not the same.
  const held = await read?.(authenticated, request.params).catch(undefinedWhereNotFound);
  if (held === undefined || !matches(ifMatch, held))
    throw new RefusedRequest(authenticated, "precondition_failed", changedSince);
  return [held];
}

function undefinedWhereNotFound(error: unknown): undefined {
  if (!(error instanceof DomainError) || error.code !== "not_found") throw error;
}

function refusing(authenticated: Authenticated): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof DomainError)) throw error;
    throw new RefusedRequest(authenticated, error.code, error.publicDetail);
  };
}
