import { renew } from "./join.ts";
import type { NodeEvent } from "./node-event.ts";
import { keepIdentity, type NodeIdentity } from "./node-identity.ts";
import type { ServerConnection } from "./server-connection.ts";
import { isUnauthenticated } from "./server-work.ts";

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
  /** Goes by this identity from now on, and keeps it. */
  readonly take: (identity: NodeIdentity) => Promise<void>;
  /**
   * Has another SVID: of those who ask at the same time, once.
   *
   * @throws RefusedError, UnreachableError; what Node throws when it can't be kept
   */
  readonly renew: () => Promise<void>;
  /** How often that failed. */
  readonly renewalsFailed: () => number;
}

/** The node goes by the identity that it has. */
export function createOwnSvid({ connection, dataDir, identity, now, onEvent }: OwnSvidDeps): OwnSvid {
  let kept: Promise<void> = Promise.resolve();
  let renewal: Promise<void> | undefined;
  let renewalsFailed = 0;

  async function take(next: NodeIdentity): Promise<void> {
    identity.current = next;
    // One after the other, and always the latest.
    const keep = () => keepIdentity(dataDir, identity.current);
    kept = kept.then(keep, keep);
    await kept;
  }

  async function renewOnce(): Promise<void> {
    try {
      await take(await renew(connection, identity.current, now));
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
      return await ask();
    } catch (error) {
      if (!isUnauthenticated(error)) throw error;
      await renewNow();
      return ask();
    }
  }

  return {
    connection: {
      ...connection,
      get: (path, schema) => retried(() => connection.get(path, schema)),
      post: (path, body, schema) => retried(() => connection.post(path, body, schema)),
    },
    take,
    renew: renewNow,
    renewalsFailed: () => renewalsFailed,
  };
}
