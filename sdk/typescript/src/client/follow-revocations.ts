import { z } from "zod";
import { listRevocations, type RevocationEvent, revocationEventSchema } from "../contract/revocations.ts";
import type { Client } from "./client.ts";
import { RefusedError } from "./client-error.ts";
import { readServerSentEvents } from "./server-sent-events.ts";

export interface FollowRevocationsRequest {
  /** A Resource's or an Operator's. */
  readonly client: Pick<Client, "fetchRaw">;
  /** Told of each part of each revocation in order; the next one waits for it. One may be told again after a break. */
  readonly onRevoked: (event: RevocationEvent) => void | Promise<void>;
  /** Told when a stream is open: from then on whatever is revoked will be told. */
  readonly onOpen?: () => void;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Begins after this index instead of now. */
  readonly after?: number;
}

const firstWaitMs = 500;
const waitMsMax = 30_000;
// The server says something every 15 s.
const silenceMs = 45_000;

/**
 * Follows what is revoked in the client's organization until `signal` ends it. A stream that ends or breaks is opened
 * again and goes on where it was: nothing is left out.
 *
 * @throws RefusedError when the server will not have this caller or this place; what `onRevoked` throws
 */
export async function followRevocations(request: FollowRevocationsRequest): Promise<void> {
  const { onRevoked, signal } = request;
  let last = request.after === undefined ? undefined : String(request.after);
  for (let waitMs = 0; !signal.aborted; ) {
    await delay(waitMs, signal);
    const events = openStream(request, last);
    for (;;) {
      const next = await events.next().catch((error: unknown) => {
        if (isFinal(error)) throw error;
        return undefined;
      });
      if (next === undefined || next.done === true) break;
      waitMs = 0;
      const { event, lastEventId } = next.value;
      if (event !== undefined) await onRevoked(event);
      last = lastEventId ?? last;
    }
    waitMs = Math.min(Math.max(firstWaitMs, 2 * waitMs), waitMsMax);
  }
}

interface Told {
  /** Undefined for what only tells the place. */
  readonly event: RevocationEvent | undefined;
  readonly lastEventId: string | undefined;
}

async function* openStream(
  { client, onOpen, signal }: FollowRevocationsRequest,
  last: string | undefined,
): AsyncGenerator<Told, void> {
  const silent = new AbortController();
  let timer = setTimeout(() => silent.abort(), silenceMs);
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silent.abort(), silenceMs);
  };
  try {
    const { body } = await client.fetchRaw({
      method: "GET",
      path: listRevocations.path,
      scope: "revocations",
      headers: { accept: "text/event-stream", ...(last !== undefined && { "last-event-id": last }) },
      signal: AbortSignal.any([signal, silent.signal]),
    });
    if (body === null) return;
    for await (const { name, data, lastEventId } of readServerSentEvents(body, heard)) {
      if (name === "start") onOpen?.();
      if (name !== "start" && name !== "revocation") continue;
      const event = name === "revocation" ? revocationEventSchema.parse(JSON.parse(data)) : undefined;
      yield { event, lastEventId };
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Whether to try again would change nothing: the server refuses, or says what this version can't read. */
function isFinal(error: unknown): boolean {
  if (error instanceof RefusedError) return error.status < 500 && error.status !== 429;
  return error instanceof z.ZodError || error instanceof SyntaxError || error instanceof RangeError;
}

function delay(ms: number, signal: AbortSignal): Promise<void> {
  if (ms === 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
