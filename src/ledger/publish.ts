import type { LogId } from "@countersign/sdk/model/ids";
import { type Checkpoint, formatCheckpoint } from "@countersign/sdk/tlog/checkpoint";
import { type Frontier, frontierRoot } from "@countersign/sdk/tlog/frontier";
import { formatNote, parseNote } from "@countersign/sdk/tlog/note";
import { sameBytes } from "@countersign/sdk/tlog/rfc6962";
import { DomainError } from "../domain/domain-error.ts";
import type { Database } from "../store/database.ts";
import { ensurePartitions, partitionEntries } from "../store/ledger-partitions.ts";
import { findLog, publishCheckpoint, type StoredLog } from "../store/logs.ts";
import { behind, publishedCheckpoint } from "./check-log.ts";
import type { CheckpointMemory } from "./checkpoint-memory.ts";
import { sha256 } from "./sha256.ts";
import { frontierAt, growFrontier, leavesAtOnce, toStoredTile } from "./tiles.ts";

/** A key that signs a log's checkpoints. */
export interface CheckpointSigner {
  /** Unsigned, 32 bits. */
  readonly keyId: number;
  /** Ed25519 over the note's text: 64 bytes. */
  readonly sign: (message: Uint8Array) => Uint8Array;
}

export interface PublishDeps {
  readonly db: Database;
  readonly memory: CheckpointMemory;
  /** All that sign: the active key, and during a rotation the one before it. */
  readonly logSigners: (log: LogId) => readonly CheckpointSigner[];
}

/** A checkpoint as it is published. */
export interface PublishedCheckpoint extends Pick<Checkpoint, "origin" | "size" | "root"> {
  /** The signed note, verbatim. */
  readonly note: string;
}

/** The right edge of each log as of the last checkpoint that this process saw; good only for exactly that tree. */
export type EdgeCache = Map<LogId, Frontier>;

/**
 * Publishes checkpoints of a log until one covers every entry that was committed before the call, and returns that
 * one. Other processes may publish meanwhile: whoever comes second looks again.
 *
 * @throws DomainError `not_found` for no such log, `ledger_behind` when the tree would not extend what was signed
 *   before, `internal` when the database does not hold together
 */
export async function publishLog(
  deps: PublishDeps,
  edges: EdgeCache,
  log: LogId,
): Promise<PublishedCheckpoint> {
  let target: number | undefined;
  for (;;) {
    // Recalled before the database is asked: another server may grow the log and remember that meanwhile.
    const remembered = (await deps.memory.recall(log))?.checkpoint;
    const stored = await findLog(deps.db, log);
    if (stored === undefined) throw new DomainError("not_found", "there is no such log");
    target ??= stored.nextIndex;
    const signers = deps.logSigners(log);
    const published = publishedCheckpoint(stored);
    if (published !== undefined && stored.publishedSize >= target && isSignedBy(stored, signers)) {
      return { ...published, note: stored.checkpoint ?? "" };
    }
    await publishStep(deps, edges, { log: stored, published, remembered, signers });
  }
}

/** What the next checkpoint is made from. */
interface Step {
  readonly log: StoredLog;
  readonly published: Checkpoint | undefined;
  readonly remembered: Checkpoint | undefined;
  readonly signers: readonly CheckpointSigner[];
}

/** Publishes the next checkpoint, unless somebody else does. A step is bounded, so that a rebuilt tree is too. */
async function publishStep(
  deps: PublishDeps,
  edges: EdgeCache,
  { log, published, remembered, signers }: Step,
): Promise<void> {
  const size = Math.min(log.nextIndex, log.publishedSize + leavesAtOnce);
  const before = await edgeOf(deps, edges, log, published);
  const { frontier, tiles } = await growFrontier(deps.db, log.id, before, size);
  if (remembered !== undefined) await checkExtends(deps.db, log, remembered, [before, frontier]);
  if (Math.floor((2 * size) / partitionEntries) > Math.floor((2 * log.publishedSize) / partitionEntries)) {
    await ensurePartitions(deps.db);
  }
  const checkpoint = signCheckpoint(log.origin, frontier, signers);
  // Remembered first: nothing that was signed here may be forgotten. The entries themselves are durable already.
  await deps.memory.remember(log.id, checkpoint);
  const publication = { log: log.id, seen: log, size, checkpoint, tiles: tiles.map(toStoredTile) };
  const mine = await publishCheckpoint(deps.db, publication);
  if (mine) edges.set(log.id, frontier);
  else edges.delete(log.id);
}

/** The right edge under the published checkpoint; from memory if it is that very tree. */
async function edgeOf(
  { db }: PublishDeps,
  edges: EdgeCache,
  log: StoredLog,
  published: Checkpoint | undefined,
): Promise<Frontier> {
  const isPublished = (frontier: Frontier) =>
    frontier.size === log.publishedSize &&
    (published === undefined || sameBytes(frontierRoot(frontier, sha256), published.root));
  const cached = edges.get(log.id);
  if (cached !== undefined && isPublished(cached)) return cached;
  const read = await frontierAt(db, log, log.publishedSize);
  if (!isPublished(read)) throw behind(log.id, "forked");
  return read;
}

/** A log must not sign two trees of which neither begins the other. @see C2SP tlog-checkpoint, "Signatures" */
async function checkExtends(
  db: Database,
  log: StoredLog,
  remembered: Checkpoint,
  known: readonly Frontier[],
): Promise<void> {
  if (remembered.size > log.nextIndex) throw behind(log.id, "behind");
  const frontier =
    known.find(({ size }) => size === remembered.size) ?? (await frontierAt(db, log, remembered.size));
  if (!sameBytes(frontierRoot(frontier, sha256), remembered.root)) throw behind(log.id, "forked");
}

function signCheckpoint(origin: string, frontier: Frontier, signers: readonly CheckpointSigner[]): string {
  if (signers.length === 0) throw new Error(`no key signs the log ${origin}`);
  const root = frontierRoot(frontier, sha256);
  const text = formatCheckpoint({ origin, size: frontier.size, root, extensions: [] });
  const message = Buffer.from(text, "utf8");
  const signatures = signers.map(({ keyId, sign }) => ({ name: origin, keyId, signature: sign(message) }));
  return formatNote({ text, signatures });
}

/** Whether each of these keys signed: after a rotation the same tree is published again, signed by both. */
function isSignedBy({ checkpoint, origin }: StoredLog, signers: readonly CheckpointSigner[]): boolean {
  const signatures = (checkpoint === undefined ? undefined : parseNote(checkpoint))?.signatures ?? [];
  return signers.every((signer) =>
    signatures.some(({ name, keyId }) => name === origin && keyId === signer.keyId),
  );
}
