import { RefusedError, UnreachableError } from "@countersign/sdk/client/client-error";
import type { NodeEvent } from "./node-event.ts";
import type { ServerConnection } from "./server-connection.ts";

export interface ServerWorkDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly onEvent: (event: NodeEvent) => void;
  /** The server said that this is a node no more: nothing is to be served from here on. */
  readonly onEnded: (code: string) => void;
}

/** What a node does with its server, and whether that is there. */
export interface ServerWork {
  /** Runs what asks the server, one after the other: what an earlier request finds must not undo a later one's. */
  readonly next: (work: () => Promise<void>) => Promise<void>;
  /** Tells of what failed beside that. */
  readonly failed: (error: unknown) => void;
  /** Remembers when the server answered, whatever it said. */
  readonly watched: (connection: ServerConnection) => ServerConnection;
  /** Since when the server has not answered what was asked; undefined while it does. */
  readonly awaySinceMs: () => number | undefined;
  readonly lastAnswerAtMs: () => number;
  /** Aborted when the node is none any more, or is closed. */
  readonly ending: AbortSignal;
  /** Answers when nothing is under way. */
  readonly close: () => Promise<void>;
}

/** Nothing is asked yet; that the server answers is assumed until it does not. */
export function createServerWork({ now, onEvent, onEnded }: ServerWorkDeps): ServerWork {
  const ending = new AbortController();
  let awaySinceMs: number | undefined;
  /** What was told of, beside its being away, since something last went well. */
  const told = new Set<string>();
  let lastAnswerAtMs = now();
  let last: Promise<void> = Promise.resolve();

  function failed(error: unknown): void {
    if (ending.signal.aborted) return;
    // The server has to have said so, on renewal too: what merely fails keeps nobody from what is held.
    if (endsNode(error)) {
      ending.abort();
      onEnded(error.code);
      onEvent({ event: "ended", reason: error.message });
      return;
    }
    if (error instanceof UnreachableError) {
      if (awaySinceMs === undefined) onEvent({ event: "server-away", reason: reasonOf(error) });
      awaySinceMs ??= now();
    } else if (error instanceof RefusedError) {
      isThere();
      tellOnce(error.code, { event: "refused", code: error.code, reason: error.message });
    } else tellOnce("", { event: "failed", reason: reasonOf(error) });
  }

  function isThere(): void {
    if (awaySinceMs !== undefined) onEvent({ event: "server-back" });
    awaySinceMs = undefined;
  }

  function tellOnce(about: string, event: NodeEvent): void {
    if (!told.has(about)) onEvent(event);
    told.add(about);
  }

  async function perform(work: () => Promise<void>): Promise<void> {
    if (ending.signal.aborted) return;
    try {
      await work();
      isThere();
      told.clear();
    } catch (error) {
      failed(error);
    }
  }

  async function heard<Answer>(asked: Promise<Answer>): Promise<Answer> {
    try {
      const answer = await asked;
      lastAnswerAtMs = now();
      return answer;
    } catch (error) {
      if (!(error instanceof UnreachableError)) lastAnswerAtMs = now();
      throw error;
    }
  }

  async function* heardEvents(events: AsyncGenerator<unknown, void>): AsyncGenerator<unknown, void> {
    for await (const data of events) {
      lastAnswerAtMs = now();
      yield data;
    }
  }

  return {
    next(work) {
      last = last.then(() => perform(work));
      return last;
    },
    failed,
    watched: (connection) => ({
      ...connection,
      get: (path, schema) => heard(connection.get(path, schema)),
      post: (path, body, schema) => heard(connection.post(path, body, schema)),
      events: (path, signal) => heardEvents(connection.events(path, signal)),
    }),
    awaySinceMs: () => awaySinceMs,
    lastAnswerAtMs: () => lastAnswerAtMs,
    ending: ending.signal,
    close() {
      ending.abort();
      return last;
    },
  };
}

/** Whether the server knows the node no more by the SVID that it showed. */
export function isUnauthenticated(error: unknown): error is RefusedError {
  return error instanceof RefusedError && error.code === "unauthenticated";
}

/** Whether the server said that this is a node no more; `unauthenticated`, once it said so of a renewal too. */
export function endsNode(error: unknown): error is RefusedError {
  return isUnauthenticated(error) || (error instanceof RefusedError && error.code === "not_attested");
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
