import { type LogId, systemLog } from "@countersign/sdk/model/ids";
import { toBase64 } from "@countersign/sdk/tlog/base64";
import { listUnpublishedLogs } from "../store/logs.ts";
import type { AppendEntry } from "./append.ts";
import { type EdgeCache, type PublishDeps, type PublishedCheckpoint, publishLog } from "./publish.ts";

export interface PublisherDeps extends PublishDeps {
  readonly append: AppendEntry;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Told of what went wrong in the background; it is tried again. No log: the database was not there. */
  readonly onFailed: (error: unknown, log?: LogId) => void;
  /** From one look for what is unpublished to the next; 400 unless told. */
  readonly lookEveryMs?: number;
}

export interface Publisher {
  /** Publishes within 50 ms, for what strangers must learn at once; a failure goes to `onFailed`. */
  readonly publishSoon: (log: LogId) => void;
  /**
   * Publishes now; when it resolves, the checkpoint covers every entry that was committed before the call.
   *
   * @throws DomainError `not_found`, `ledger_behind`, `internal`
   */
  readonly publishNow: (log: LogId) => Promise<PublishedCheckpoint>;
  /** Publishes what is left and records the last checkpoints. To be called while entries can still be appended. */
  readonly close: () => Promise<void>;
}

const lookEveryMs = 400;
const publishSoonMs = 20;
const recordEveryMs = 60_000;
const retryAfterMs = 5_000;
const parallelMax = 4;

/** What this process did for a log. */
interface Progress {
  /** Ends with the publication that runs now; never rejects. */
  tail: Promise<unknown>;
  /** The publication that begins once that one is over; whoever asks for one meanwhile shares it. */
  waiting?: Promise<PublishedCheckpoint> | undefined;
  soon?: NodeJS.Timeout | undefined;
  last?: PublishedCheckpoint;
  recorded?: { readonly atMs: number; readonly size: number };
  recording?: Promise<void> | undefined;
  failedAtMs?: number;
}

/**
 * Publishes the checkpoints of all logs, at most a second behind their heads, also of logs that other processes write
 * to. Each organization's checkpoints are recorded in the installation's own log, by this process once a minute.
 */
export function createPublisher(deps: PublisherDeps): Publisher {
  const edges: EdgeCache = new Map();
  const logs = new Map<LogId, Progress>();
  let round: Promise<void> | undefined;

  function progressOf(log: LogId): Progress {
    const progress = logs.get(log) ?? { tail: Promise.resolve() };
    logs.set(log, progress);
    return progress;
  }

  function publishNow(log: LogId): Promise<PublishedCheckpoint> {
    const progress = progressOf(log);
    if (progress.waiting === undefined) {
      progress.waiting = progress.tail.then(async () => {
        progress.waiting = undefined;
        progress.last = await publishLog(deps, edges, log);
        if (isRecordDue(deps, progress)) record(deps, log, progress);
        return progress.last;
      });
      progress.tail = progress.waiting.catch(() => undefined);
    }
    return progress.waiting;
  }

  async function publishOrTell(log: LogId): Promise<void> {
    try {
      await publishNow(log);
    } catch (error) {
      progressOf(log).failedAtMs = deps.now();
      deps.onFailed(error, log);
    }
  }

  function publishSoon(log: LogId): void {
    const progress = progressOf(log);
    progress.soon ??= setTimeout(() => {
      progress.soon = undefined;
      void publishOrTell(log);
    }, publishSoonMs);
  }

  async function publishRound(): Promise<void> {
    try {
      const due = await listUnpublishedLogs(deps.db);
      const waits = (log: LogId) => deps.now() - (logs.get(log)?.failedAtMs ?? -retryAfterMs) < retryAfterMs;
      await inParallel(
        due.filter((log) => !waits(log)),
        publishOrTell,
      );
    } catch (error) {
      deps.onFailed(error);
    }
  }

  const timer = setInterval(() => {
    round ??= publishRound().finally(() => {
      round = undefined;
    });
  }, deps.lookEveryMs ?? lookEveryMs);

  async function close(): Promise<void> {
    clearInterval(timer);
    for (const { soon } of logs.values()) clearTimeout(soon);
    await round;
    await Promise.all(Array.from(logs.values(), ({ tail }) => tail));
    await publishRound();
    for (const [log, progress] of logs) {
      await progress.recording;
      record(deps, log, progress);
      await progress.recording;
    }
    // What was just recorded is the last entry of the installation's own log.
    await publishRound();
  }

  return { publishSoon, publishNow, close };
}

async function inParallel<Item>(items: readonly Item[], run: (item: Item) => Promise<void>): Promise<void> {
  const queue = items.values();
  const worker = async () => {
    for (const item of queue) await run(item);
  };
  await Promise.all(Array.from({ length: parallelMax }, worker));
}

function isRecordDue({ now }: PublisherDeps, { recorded }: Progress): boolean {
  return recorded === undefined || now() - recorded.atMs >= recordEveryMs;
}

/** Begins to record a log's last checkpoint in the installation's own log, unless it is there. Tried again when due. */
function record(deps: PublisherDeps, log: LogId, progress: Progress): void {
  const { last, recorded } = progress;
  if (log === systemLog || last === undefined || last.size === recorded?.size) return;
  if (progress.recording !== undefined) return;
  progress.recorded = { atMs: deps.now(), size: last.size };
  progress.recording = deps
    .append(systemLog, {
      entry: {
        type: "checkpoint.recorded",
        actor: { kind: "system", id: "publisher" },
        detail: { log: last.origin, size: last.size, root: toBase64(last.root), checkpoint: last.note },
      },
    })
    .then(() => undefined)
    .catch((error: unknown) => {
      progress.recorded = { atMs: deps.now(), size: recorded?.size ?? 0 };
      deps.onFailed(error, log);
    })
    .finally(() => {
      progress.recording = undefined;
    });
}
