import { DomainError } from "../domain/domain-error.ts";

export interface StreamLimits {
  readonly perCallerMax: number;
  /** Of all callers together. */
  readonly max: number;
  /** Who has not read what was sent within this time is cut. */
  readonly drainTimeoutMs: number;
  /** How often an open stream is told that it is open, and its caller looked at again. */
  readonly commentEveryMs: number;
}

/** A place that an open stream takes. */
export interface StreamPlace {
  /** Aborted when the server stops: the stream ends then. */
  readonly stopping: AbortSignal;
  readonly leave: () => void;
}

/** The streams that this process has open. */
export interface Streams {
  readonly limits: StreamLimits;
  /** @throws DomainError `too_many_requests` when no place is left, `ledger_unavailable` when the server stops */
  readonly enter: (caller: string) => StreamPlace;
  /** Ends every stream, and waits until each has been left. To be called before the server drains: none must hold it. */
  readonly close: () => Promise<void>;
}

const defaultLimits: StreamLimits = {
  perCallerMax: 8,
  max: 512,
  drainTimeoutMs: 20_000,
  commentEveryMs: 15_000,
};

/** No stream is open yet. */
export function createStreams(changed: Partial<StreamLimits> = {}): Streams {
  const limits = { ...defaultLimits, ...changed };
  const open = new Map<string, number>();
  const stop = new AbortController();
  let total = 0;
  let allLeft: () => void = () => undefined;

  function enter(caller: string): StreamPlace {
    if (stop.signal.aborted) throw new DomainError("ledger_unavailable", "the server is stopping");
    const own = open.get(caller) ?? 0;
    if (own >= limits.perCallerMax || total >= limits.max) {
      throw new DomainError("too_many_requests", "too many streams are open: end one first");
    }
    open.set(caller, own + 1);
    total++;
    return { stopping: stop.signal, leave: () => leave(caller) };
  }

  function leave(caller: string): void {
    const left = (open.get(caller) ?? 0) - 1;
    if (left > 0) open.set(caller, left);
    else open.delete(caller);
    if (--total === 0) allLeft();
  }

  async function close(): Promise<void> {
    const left = new Promise<void>((resolve) => {
      allLeft = resolve;
    });
    stop.abort();
    if (total > 0) await left;
  }

  return { limits, enter, close };
}
