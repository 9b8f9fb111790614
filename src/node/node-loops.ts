import { type NodeChange, nodeChangeSchema } from "@countersign/sdk/contract/node-face";
import type { NodeIdentity } from "./node-identity.ts";
import type { ServerConnection } from "./server-connection.ts";

/** The time and chance of a node. */
export interface NodeTime {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Answers when so many milliseconds have passed, or the signal is aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Everything is asked for anew this often, whatever the stream says. */
const pollEveryMs = 30_000;
const reconnectMs = 1_000;
/** How long a renewal that failed waits for the next try. */
const renewRetryMs = 5_000;

/** Calls back at that time, in milliseconds since the epoch. @returns a function that calls it off */
export function wakeAt(
  { now, wait }: Pick<NodeTime, "now" | "wait">,
  atMs: number,
  wake: () => void,
): () => void {
  const calledOff = new AbortController();
  void wait(atMs - now(), calledOff.signal).then(() => {
    if (!calledOff.signal.aborted) wake();
  });
  return () => calledOff.abort();
}

/** Asks for everything again and again, until the signal is aborted. */
export async function keepAsking(
  { wait }: Pick<NodeTime, "wait">,
  askForEverything: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await wait(pollEveryMs, signal);
    if (signal.aborted) return;
    await askForEverything();
  }
}

/** Who is told of a stream of changes. */
export interface ChangeListener {
  readonly onChange: (change: NodeChange) => void;
  /** The stream failed; another is asked for after this. */
  readonly onFailed: (error: unknown) => Promise<void>;
}

/** Follows the stream of changes, and asks for another whenever one ends, until the signal is aborted. */
export async function followChanges(
  { connection, random, wait }: Pick<NodeTime, "random" | "wait"> & { readonly connection: ServerConnection },
  { onChange, onFailed }: ChangeListener,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const data of connection.events("/v1/node/changes", signal))
        onChange(nodeChangeSchema.parse(data));
    } catch (error) {
      await onFailed(error);
    }
    await wait(reconnectMs * (1 + random()), signal);
  }
}

/**
 * Has the node's own SVID renewed when half of its life is over, whoever had it renewed before, until the signal is aborted.
 *
 * @param renew never fails: whether it did shows in the identity
 */
export async function keepRenewing(
  {
    identity,
    now,
    wait,
  }: Pick<NodeTime, "now" | "wait"> & { readonly identity: { readonly current: NodeIdentity } },
  renew: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  let retryAtMs = 0;
  for (;;) {
    const dueMs = Math.max(retryAtMs, halfLifeOf(identity.current));
    await wait(dueMs - now(), signal);
    if (signal.aborted) return;
    if (now() < Math.max(retryAtMs, halfLifeOf(identity.current))) continue;
    const before = identity.current;
    await renew();
    retryAtMs = identity.current === before ? now() + renewRetryMs : 0;
  }
}

function halfLifeOf({ issuedAtMs, expiresAtMs }: NodeIdentity): number {
  return issuedAtMs + (expiresAtMs - issuedAtMs) / 2;
}
