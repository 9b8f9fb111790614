import { RefusedError } from "@countersign/sdk/client/client-error";
import { nodeBundlesSchema, nodeChangeSchema } from "@countersign/sdk/contract/node-face";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { formatTrustBundle } from "@countersign/sdk/verify/trust-bundle";
import { createSvidHolder, type MatchedEntry } from "../domain/svid-holder.ts";
import type { SvidSource } from "../domain/svid-source.ts";
import { createHeldEntries, type HeldEntry } from "./held-entries.ts";
import { issueJwt, issueX509 } from "./issue.ts";
import { renew } from "./join.ts";
import { bundlesOf, keepIdentity, type NodeIdentity } from "./node-identity.ts";
import type { ServerConnection } from "./server-connection.ts";

/** What a node tells of itself as it goes. */
export type NodeEvent =
  | { readonly event: "server-away"; readonly reason: string }
  | { readonly event: "server-back" }
  | { readonly event: "renewed"; readonly expires_at: string }
  /** It is a node no more: nothing is served from here on. */
  | { readonly event: "ended"; readonly reason: string };

export interface NodeSourceDeps {
  readonly connection: ServerConnection;
  readonly dataDir: string;
  readonly attest: SvidSource["attest"];
  readonly identity: { current: NodeIdentity };
  readonly onEvent: (event: NodeEvent) => void;
}

export interface NodeSource {
  readonly source: SvidSource;
  readonly close: () => Promise<void>;
}

/** Everything is asked for anew this often, whatever the stream says. */
const pollEveryMs = 30_000;
const reconnectMs = 1_000;
/** How long a renewal that failed waits for the next try. */
const renewRetryMs = 5_000;

/**
 * A source of SVIDs that has them from a server: it knows this node's entries, has keys certified as they are asked for, and
 * serves on from memory while the server is away.
 */
export function openNodeSource(deps: NodeSourceDeps): NodeSource {
  const { identity, onEvent } = deps;
  const connection = renewing(deps.connection, renewNow);
  const entries = createHeldEntries(connection, identity.current.trustDomain);
  const holder = createSvidHolder<HeldEntry & MatchedEntry>({
    now: Date.now,
    // A node measures no configuration yet: whoever needs an approved one gets nothing there.
    match: async (workload) => entries.match(workload).map((entry) => ({ ...entry, checksum: undefined })),
    issueX509: (wanted) => issueX509(connection, wanted),
    issueJwt: (entry, audience) => issueJwt(connection, entry, audience),
    wakeAt: (atMs, wake) => {
      const timer = setTimeout(wake, atMs - Date.now());
      return () => clearTimeout(timer);
    },
  });
  const ending = new AbortController();
  const state = { isAway: false };
  let last: Promise<void> = Promise.resolve();
  let kept: Promise<void> = Promise.resolve();
  let renewal: Promise<void> | undefined;

  /** One after the other: what an earlier request finds must not undo a later one's. */
  function next(work: () => Promise<void>): Promise<void> {
    last = last.then(async () => {
      if (ending.signal.aborted) return;
      try {
        await work();
        if (state.isAway) onEvent({ event: "server-back" });
        state.isAway = false;
      } catch (error) {
        failed(error);
      }
    });
    return last;
  }

  function failed(error: unknown): void {
    if (ending.signal.aborted) return;
    // The server has to have said so, on renewal too: what merely fails keeps nobody from what is held.
    if (isUnauthenticated(error) || (error instanceof RefusedError && error.code === "not_attested")) {
      end(error.message);
      return;
    }
    if (!state.isAway) onEvent({ event: "server-away", reason: reasonOf(error) });
    state.isAway = true;
  }

  function end(reason: string): void {
    ending.abort();
    holder.drop(entries.clear());
    holder.tell();
    onEvent({ event: "ended", reason });
  }

  async function sync(what: "changes" | "everything"): Promise<void> {
    holder.drop(await entries.sync(what));
    holder.tell();
  }

  async function readBundles(): Promise<void> {
    const bundles = bundlesOf(await connection.get("/v1/node/bundles", nodeBundlesSchema));
    if (
      JSON.stringify(bundles.map(formatTrustBundle)) !==
      JSON.stringify(identity.current.bundles.map(formatTrustBundle))
    )
      await take({ ...identity.current, bundles });
    holder.tell();
  }

  async function take(nextIdentity: NodeIdentity): Promise<void> {
    identity.current = nextIdentity;
    // One after the other, and always the latest.
    const keep = () => keepIdentity(deps.dataDir, identity.current);
    kept = kept.then(keep, keep);
    await kept;
  }

  /** Has another SVID: of those who ask at the same time, once. */
  function renewNow(): Promise<void> {
    renewal ??= (async () => {
      await take(await renew(deps.connection, identity.current));
      onEvent({ event: "renewed", expires_at: new Date(identity.current.expiresAtMs).toISOString() });
    })().finally(() => {
      renewal = undefined;
    });
    return renewal;
  }

  async function follow(): Promise<void> {
    while (!ending.signal.aborted) {
      try {
        for await (const data of connection.events("/v1/node/changes", ending.signal)) {
          const { ids, bundles, lost } = nodeChangeSchema.parse(data);
          // At once, though what is asked for next may take long: what was stopped is given out no more.
          entries.touch(ids);
          holder.drop(new Set(ids));
          void next(async () => {
            if (lost || ids.length > 0) await sync(lost ? "everything" : "changes");
            if (bundles) await readBundles();
          });
        }
      } catch (error) {
        if (isUnauthenticated(error)) await next(renewNow);
        else failed(error);
      }
      await pause(reconnectMs * (1 + Math.random()), ending.signal);
    }
  }

  async function keepRenewing(): Promise<void> {
    let waitMs = 0;
    while (!ending.signal.aborted) {
      const { issuedAtMs, expiresAtMs } = identity.current;
      const halfMs = issuedAtMs + (expiresAtMs - issuedAtMs) / 2;
      await pause(Math.max(waitMs, halfMs - Date.now()), ending.signal);
      if (ending.signal.aborted) return;
      waitMs = renewRetryMs;
      await next(async () => {
        await renewNow();
        waitMs = 0;
      });
    }
  }

  const poll = setInterval(() => void next(() => sync("everything")), pollEveryMs);
  const running = [follow(), keepRenewing()];
  return {
    source: {
      ...holder,
      trustDomain: identity.current.trustDomain,
      attest: deps.attest,
      bundles: async (workload) => bundlesFor(identity.current.bundles, entries.match(workload)),
    },
    async close() {
      clearInterval(poll);
      ending.abort();
      holder.close();
      connection.close();
      await Promise.allSettled([...running, last]);
    },
  };
}

/** Asks once more with another SVID where the present one is accepted no more: its authority was tainted. */
function renewing(connection: ServerConnection, renewNow: () => Promise<void>): ServerConnection {
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
    ...connection,
    get: (path, schema) => retried(() => connection.get(path, schema)),
    post: (path, body, schema) => retried(() => connection.post(path, body, schema)),
  };
}

function isUnauthenticated(error: unknown): error is RefusedError {
  return error instanceof RefusedError && error.code === "unauthenticated";
}

/** Our own, and those that an entry of the workload federates with. */
function bundlesFor(bundles: readonly TrustBundle[], matched: readonly HeldEntry[]): readonly TrustBundle[] {
  if (matched.length === 0) return [];
  const [own, ...foreign] = bundles;
  const wanted = new Set(matched.flatMap(({ federatesWith }) => federatesWith));
  return own === undefined ? [] : [own, ...foreign.filter(({ trustDomain }) => wanted.has(trustDomain))];
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
  });
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
