import { once } from "node:events";
import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import type { RevocationEvent, StreamEndReason } from "@countersign/sdk/contract/revocations";
import type { OrganizationId } from "@countersign/sdk/model/ids";
import { parseDecimal } from "@countersign/sdk/tlog/checkpoint";
import type { Request, Response } from "express";
import { DomainError } from "../domain/domain-error.ts";
import type { Authenticated } from "./caller.ts";
import type { StreamPlace, Streams } from "./streams.ts";

/** What a stream reads; nothing beyond the published checkpoint. */
export interface RevocationStreamDeps {
  readonly feed: {
    headOf(organization: OrganizationId): Promise<number>;
    follow(organization: OrganizationId, after: number, signal: AbortSignal): AsyncIterable<RevocationEvent>;
  };
  readonly streams: Streams;
  isLive(claims: AccessTokenClaims): Promise<boolean>;
  now(): number;
}

/** Why a stream ends that the server does not end: nobody reads it, or reads it in time. */
class ReaderLost extends Error {
  override readonly name = "ReaderLost";
}

const destroyAfterMs = 1_000;

/**
 * Answers with the revocations of the caller's organization as server-sent events: those after the `Last-Event-ID`, or
 * from now on, and each new one, until the caller's token expires or is no longer good. Only the last part of a
 * revocation bears an id, so who breaks off between two parts is told the whole of it again.
 *
 * @throws DomainError `invalid_request` for a `Last-Event-ID` that no stream gave, and as Streams.enter does
 * @see WHATWG HTML, section 9.2
 */
export async function streamRevocations(
  deps: RevocationStreamDeps,
  { caller, claims }: Pick<Authenticated, "caller" | "claims">,
  request: Request,
  response: Response,
): Promise<void> {
  const place = deps.streams.enter(caller.id);
  try {
    const after = await startOf(deps, caller.organization, request.headers["last-event-id"]);
    response.writeHead(200, {
      "content-type": "text/event-stream",
      // A proxy would hold events back; and the connection is of no further use.
      "x-accel-buffering": "no",
      connection: "close",
    });
    const watched = watchStream(deps, place, claims, response);
    await sendEvents(deps, caller.organization, after, response, watched.ending);
    watched.stop();
  } finally {
    place.leave();
  }
}

/** The index after which the stream begins. */
async function startOf(
  { feed }: RevocationStreamDeps,
  organization: OrganizationId,
  lastEventId: string | string[] | undefined,
): Promise<number> {
  const head = await feed.headOf(organization);
  if (lastEventId === undefined) return head;
  const after = typeof lastEventId === "string" ? parseDecimal(lastEventId) : undefined;
  if (after !== undefined && after <= head) return after;
  throw new DomainError("invalid_request", "last-event-id: must be the id of an event of this stream");
}

/** Aborts `ending` when the stream has to end, with the reason; keeps it open until then. */
function watchStream(
  { isLive, now, streams }: RevocationStreamDeps,
  { stopping }: StreamPlace,
  claims: AccessTokenClaims,
  response: Response,
): { readonly ending: AbortSignal; readonly stop: () => void } {
  const ending = new AbortController();
  const end = (reason: StreamEndReason) => ending.abort(reason);
  const look = async () => {
    if (!(await isLive(claims))) end("not_live");
    else if (!response.writableNeedDrain && !ending.signal.aborted) response.write(":\n\n");
  };
  const onStop = () => end("stopping");
  const expiry = setTimeout(end, Math.max(0, claims.exp * 1000 - now()), "expired");
  // Who can't be looked at is not served on.
  const looking = setInterval(
    () => void look().catch((error: unknown) => ending.abort(error)),
    streams.limits.commentEveryMs,
  );
  stopping.addEventListener("abort", onStop, { once: true });
  if (stopping.aborted) onStop();
  const onGone = () => ending.abort(new ReaderLost("the reader is gone"));
  response.once("close", onGone);
  const stop = () => {
    clearTimeout(expiry);
    clearInterval(looking);
    stopping.removeEventListener("abort", onStop);
  };
  ending.signal.addEventListener("abort", stop, { once: true });
  // Whoever has left by now is not told of once more.
  if (response.destroyed) onGone();
  return { ending: ending.signal, stop };
}

async function sendEvents(
  { feed, streams }: RevocationStreamDeps,
  organization: OrganizationId,
  after: number,
  response: Response,
  ending: AbortSignal,
): Promise<void> {
  try {
    await send(response, eventOf("start", { after }, after), streams.limits.drainTimeoutMs);
    for await (const event of feed.follow(organization, after, ending)) {
      const id = event.last ? event.index : undefined;
      await send(response, eventOf("revocation", event, id), streams.limits.drainTimeoutMs, ending);
    }
  } catch (error) {
    if (error instanceof ReaderLost) return void response.destroy();
    if (!ending.aborted) throw error;
  }
  const { reason } = ending;
  if (!isEndReason(reason)) return void response.destroy();
  response.end(eventOf("end", { reason }));
  // Whoever does not even read this must not hold the server.
  const overdue = setTimeout(() => response.destroy(), destroyAfterMs);
  response.once("close", () => clearTimeout(overdue));
}

function isEndReason(reason: unknown): reason is StreamEndReason {
  return reason === "expired" || reason === "not_live" || reason === "stopping";
}

/** Sends one event, and waits until it has left. @throws ReaderLost when that takes too long */
async function send(
  response: Response,
  text: string,
  timeoutMs: number,
  ending: AbortSignal = AbortSignal.any([]),
): Promise<void> {
  if (response.write(text)) return;
  const late = AbortSignal.timeout(timeoutMs);
  await once(response, "drain", { signal: AbortSignal.any([late, ending]) }).catch((error: unknown) => {
    throw late.aborted ? new ReaderLost("the reader is too slow") : error;
  });
}

function eventOf(name: string, data: unknown, id = -1): string {
  return `${id < 0 ? "" : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
