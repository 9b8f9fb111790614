import { nodeBundlesSchema } from "@countersign/sdk/contract/node-face";
import { renew } from "./join.ts";
import type { NodeEvent } from "./node-event.ts";
import { forgetIdentity, keepIdentity, type NodeIdentity } from "./node-identity.ts";
import type { ServerConnection } from "./server-connection.ts";
import { endsNode, isUnauthenticated } from "./server-work.ts";
import { createTurns } from "./turns.ts";

export interface OwnSvidDeps {
  readonly connection: ServerConnection;
  readonly dataDir: string;
  readonly identity: { current: NodeIdentity };
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly onEvent: (event: NodeEvent) => void;
}

/** The X.509-SVID that a node is known by to its server. */
export interface OwnSvid {
  /** Asks once more with another SVID where the present one is accepted no more: its authority was tainted. */
  readonly connection: ServerConnection;
  /** Goes by what the server told, at once, and keeps it. @throws what Node throws when it can't be kept */
  readonly learn: (told: Pick<NodeIdentity, "issuer" | "bundles">) => Promise<void>;
  /** Keeps no identity any more: it never is a node again by this one, and whoever starts it anew gives it evidence. */
  readonly forget: () => void;
  /** Answers when nothing is to be kept or forgotten any more. */
  readonly kept: () => Promise<void>;
  /**
   * Has another SVID: of those who ask at the same time, once.
   *
   * @throws RefusedError, UnreachableError; what Node throws when it can't be kept
   */
  readonly renew: () => Promise<void>;
  /** How often that failed. */
  readonly renewalsFailed: () => number;
}

/**
 * Whether the server takes this still for the node that it is; with another SVID, where the present one is accepted no
 * more. What merely fails is no such word of the server's.
 */
export async function isStillKnown(deps: OwnSvidDeps): Promise<boolean> {
  try {
    await createOwnSvid(deps).connection.get("/v1/node/bundles", nodeBundlesSchema);
    return true;
  } catch (error) {
    return !endsNode(error);
  }
}

/** The node goes by the identity that it has. */
export function createOwnSvid({ connection, dataDir, identity, now, onEvent }: OwnSvidDeps): OwnSvid {
  const turns = createTurns();
  let kept: Promise<void> = Promise.resolve();
  let renewal: Promise<void> | undefined;
  let renewalsFailed = 0;

  /** One after the other. */
  function after(work: () => Promise<void>): Promise<void> {
    kept = kept.then(work, work);
    return kept;
  }

  /** Kept before it is used: from an SVID's first use on the one before it is good for nothing. */
  function take(next: NodeIdentity): Promise<void> {
    return after(async () => {
      await keepIdentity(dataDir, next);
      identity.current = next;
    });
  }

  /** Used before it is kept: what was withdrawn is believed no more, whatever becomes of the disk. */
  function learn(told: Pick<NodeIdentity, "issuer" | "bundles">): Promise<void> {
    return after(async () => {
      identity.current = { ...identity.current, ...told };
      await keepIdentity(dataDir, identity.current);
    });
  }

  async function renewOnce(): Promise<void> {
    try {
      const renewed = await renew(connection, identity.current, now);
      // What is asked by the former one is answered first: after the first use of this one it would look like a copy's.
      await turns.alone(() => take(renewed));
      onEvent({ event: "renewed", expires_at: new Date(identity.current.expiresAtMs).toISOString() });
    } catch (error) {
      renewalsFailed++;
      throw error;
    } finally {
      renewal = undefined;
    }
  }

  function renewNow(): Promise<void> {
    renewal ??= renewOnce();
    return renewal;
  }

  async function retried<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    try {
      return await turns.together(ask);
    } catch (error) {
      if (!isUnauthenticated(error)) throw error;
      await renewNow();
      return turns.together(ask);
    }
  }

  /** Its opening is a request like any other; after that its SVID is that of a connection which goes on. */
  async function* events(path: string, signal: AbortSignal): AsyncGenerator<unknown, void> {
    const stream = connection.events(path, signal);
    try {
      const first = await turns.together(() => stream.next());
      if (first.done) return;
      yield first.value;
      yield* stream;
    } finally {
      await stream.return();
    }
  }

  return {
    connection: {
      ...connection,
      get: (path, schema) => retried(() => connection.get(path, schema)),
      post: (path, body, schema) => retried(() => connection.post(path, body, schema)),
      events,
    },
    learn,
    forget: () => void after(() => forgetIdentity(dataDir)).catch(() => undefined),
    kept: () => kept.catch(() => undefined),
    renew: renewNow,
    renewalsFailed: () => renewalsFailed,
  };
}
