import { hash } from "node:crypto";
import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import { DomainError, UsedBefore } from "../domain/domain-error.ts";
import type { Database } from "./database.ts";
import type { Write } from "./write.ts";

export interface ReplayDeps {
  readonly db: Database;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Memory of one-time values, shared by every process on the database. */
export interface ReplayMemory {
  /**
   * Resolves to true for exactly one of all calls with this key, in whatever process, and only once that is durable;
   * to false for the others, until `purge` has forgotten the key.
   *
   * @param key from `replayKey`
   * @param expiresAt when the value itself is no longer accepted
   * @throws DomainError `ledger_unavailable` when the database can't say, or too many wait: accept nothing then
   */
  readonly rememberOnce: (key: string, expiresAt: Date) => Promise<boolean>;
  /**
   * The same for a value that is good for a commit: what remembers it stands or falls with that, and of all commits with this
   * key the database takes one.
   *
   * @throws DomainError UsedBefore for one that is remembered already; `ledger_unavailable` when the database can't say
   */
  readonly useUp: (key: string, expiresAt: Date) => Promise<Write>;
  /** Forgets values that expired a while ago, a small batch at a time; to be called every minute or so. */
  readonly purge: () => Promise<void>;
}

const batchKeysMax = 1_000;
const waitingMax = 20_000;
const purgeRowsMax = 1_000;
/** How long what has expired is still remembered: another host, whose clock is behind ours, still accepts it. */
export const purgeDelayMs = 10 * 60_000;

interface Waiting {
  readonly key: string;
  readonly expiresAt: Date;
  readonly resolve: (first: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Under which key a one-time value is remembered: values of different clients or kinds never meet, and a key is
 * always 43 characters, whatever the client chose.
 */
export function replayKey(
  client: string,
  kind: "client_assertion" | "dpop_proof" | "trusted_assertion" | "node_nonce" | "k8s_psat",
  value: string,
): string {
  // A lone surrogate has no canonical JSON. What it is replaced by may be shared, which only refuses more.
  return hash("sha256", canonicalJson([client, kind, value.toWellFormed()]), "base64url");
}

/** Makes the memory. Keys that come while a batch is on its way to the database form the next batch. */
export function createReplayMemory(deps: ReplayDeps): ReplayMemory {
  const queue: Waiting[] = [];
  let running = false;

  async function drain(): Promise<void> {
    while (queue.length > 0) await decide(deps, queue.splice(0, batchKeysMax));
    running = false;
  }

  function rememberOnce(key: string, expiresAt: Date): Promise<boolean> {
    if (queue.length >= waitingMax) {
      return Promise.reject(new DomainError("ledger_unavailable", "too many requests wait; try again"));
    }
    return new Promise((resolve, reject) => {
      queue.push({ key, expiresAt, resolve, reject });
      if (running) return;
      running = true;
      void drain();
    });
  }

  return {
    rememberOnce,
    useUp: (key, expiresAt) => useUp(deps, key, expiresAt),
    purge: () => purgeExpired(deps),
  };
}

async function useUp({ db }: ReplayDeps, key: string, expiresAt: Date): Promise<Write> {
  const known = await db.prisma.replay.findUnique({ where: { key } }).catch((error: unknown) => {
    throw uncheckable(error);
  });
  // Repeats that come one after another cost no commit.
  if (known !== null) throw new UsedBefore();
  return { into: "replay", row: { key, expires_at: expiresAt } };
}

function uncheckable(error: unknown): DomainError {
  return new DomainError("ledger_unavailable", "it can't be checked for replay now; try again", error);
}

/** Decides a batch. Never rejects: each caller is told its own outcome. */
async function decide(deps: ReplayDeps, batch: readonly Waiting[]): Promise<void> {
  const firsts = new Map<string, Waiting>();
  for (const waiting of batch) if (!firsts.has(waiting.key)) firsts.set(waiting.key, waiting);
  try {
    const inserted = await insertNew(deps.db, [...firsts.values()]);
    for (const waiting of batch)
      waiting.resolve(firsts.get(waiting.key) === waiting && inserted.has(waiting.key));
  } catch (error) {
    const unavailable = uncheckable(error);
    for (const waiting of batch) waiting.reject(unavailable);
  }
}

async function insertNew(db: Database, values: readonly Waiting[]): Promise<ReadonlySet<string>> {
  // In one order everywhere: two processes that insert the same keys then never wait for each other in a circle.
  const sorted = values.toSorted((one, other) => (one.key < other.key ? -1 : 1));
  const keys = sorted.map(({ key }) => key);
  const expiries = sorted.map(({ expiresAt }) => expiresAt.toISOString());
  const rows = await db.prisma.$queryRaw<{ key: string }[]>`
    INSERT INTO replay (key, expires_at) SELECT * FROM unnest(${keys}::text[], ${expiries}::timestamptz[])
    ON CONFLICT DO NOTHING RETURNING key`;
  return new Set(rows.map(({ key }) => key));
}

async function purgeExpired({ db, now }: ReplayDeps): Promise<void> {
  const expiredBefore = new Date(now() - purgeDelayMs);
  let deleted: number;
  do {
    deleted = await db.prisma.$executeRaw`
      DELETE FROM replay WHERE key IN (
        SELECT key FROM replay WHERE expires_at < ${expiredBefore}
        ORDER BY expires_at LIMIT ${purgeRowsMax} FOR UPDATE SKIP LOCKED)`;
  } while (deleted === purgeRowsMax);
}
