import type { LogId, OrganizationId } from "@countersign/sdk/model/ids";
import { formatEntryBundle } from "@countersign/sdk/tlog/entry-bundle";
import {
  planConsistency,
  planInclusion,
  proofOf,
  rootOf,
  verifyConsistency,
  verifyInclusion,
} from "@countersign/sdk/tlog/proof";
import {
  hashInTile,
  type TileName,
  type TileTree,
  tileOfNode,
  tileWidth,
  tileWidthAt,
} from "@countersign/sdk/tlog/tile";
import { completeSubtrees, type TreeNode } from "@countersign/sdk/tlog/tree-node";
import type { Database } from "../store/database.ts";
import { readEntries } from "../store/ledger-entries.ts";
import { findLog } from "../store/logs.ts";
import { publishedCheckpoint } from "./check-log.ts";
import { sha256 } from "./sha256.ts";
import { createTileCache, type TileCache } from "./tile-cache.ts";
import { ledgerDamaged } from "./tiles.ts";

/** That an entry is in the tree of the last checkpoint. */
export interface InclusionProof {
  readonly index: number;
  readonly size: number;
  readonly leafHash: Uint8Array;
  /** From the leaf's sibling up to the root's child. */
  readonly hashes: readonly Uint8Array[];
  /** The signed checkpoint that the proof leads to, verbatim. */
  readonly checkpoint: string;
}

/**
 * What a log shows: everything as of its last published checkpoint, and undefined for what that does not cover. A
 * proof was verified against the checkpoint before it is handed out.
 *
 * @throws DomainError `internal` from each function when the database does not make the signed tree
 */
export interface LogReader {
  readonly find: (
    log: LogId,
  ) => Promise<{ id: LogId; organization?: OrganizationId; origin: string; public: boolean } | undefined>;
  /** The signed note, verbatim. */
  readonly checkpoint: (log: LogId) => Promise<string | undefined>;
  /** The exact canonical JSON that was hashed. */
  readonly entry: (log: LogId, index: number) => Promise<string | undefined>;
  /** A tile's octets, or an entry bundle's. */
  readonly tile: (log: LogId, name: TileName) => Promise<Uint8Array | undefined>;
  readonly inclusion: (log: LogId, index: number) => Promise<InclusionProof | undefined>;
  /** Undefined unless 0 ≤ from ≤ to ≤ the published size. */
  readonly consistency: (log: LogId, from: number, to: number) => Promise<readonly Uint8Array[] | undefined>;
}

/** Makes a reader with a cache of its own. */
export function createReader(deps: { readonly db: Database }): LogReader {
  const { db } = deps;
  const cache = createTileCache(db);

  return {
    async find(log) {
      const stored = await findLog(db, log);
      if (stored === undefined) return undefined;
      const { id, organization, origin } = stored;
      return { id, origin, public: stored.public, ...(organization === undefined ? {} : { organization }) };
    },
    async checkpoint(log) {
      return (await findLog(db, log))?.checkpoint;
    },
    async entry(log, index) {
      const tree = await treeOf(db, log);
      if (tree === undefined || index >= tree.size) return undefined;
      return (await wholeEntries(db, log, index, index + 1))[0];
    },
    async tile(log, name) {
      const tree = await treeOf(db, log);
      return tree && readNamedTile(db, cache, tree, name);
    },
    async inclusion(log, index) {
      const tree = await treeOf(db, log);
      return tree && proveInclusion(cache, tree, index);
    },
    async consistency(log, from, to) {
      const tree = await treeOf(db, log);
      return tree && proveConsistency(cache, tree, from, to);
    },
  };
}

/** A log's published tree. */
interface Tree {
  readonly log: LogId;
  readonly size: number;
  readonly root: Uint8Array;
  readonly note: string;
}

async function treeOf(db: Database, log: LogId): Promise<Tree | undefined> {
  const stored = await findLog(db, log);
  const published = stored && publishedCheckpoint(stored);
  if (stored?.checkpoint === undefined || published === undefined) return undefined;
  return { log, size: published.size, root: published.root, note: stored.checkpoint };
}

async function readNamedTile(
  db: Database,
  cache: TileCache,
  tree: Tree,
  { level, index, width }: TileName,
): Promise<Uint8Array | undefined> {
  const available = tileWidthAt(level === "entries" ? 0 : level, index, tree.size);
  if (width > available) return undefined;
  if (level === "entries") {
    const start = index * tileWidth;
    const entries = await wholeEntries(db, tree.log, start, start + width);
    return formatEntryBundle(entries.map((entry) => Buffer.from(entry, "utf8")));
  }
  // A partial tile that was filled since is the beginning of the full one.
  const tile = { level, index, width: available === tileWidth ? tileWidth : width };
  return (await cache.load(tree.log, tile)).hashes.subarray(0, width * 32);
}

async function wholeEntries(db: Database, log: LogId, from: number, to: number): Promise<string[]> {
  const entries = await readEntries(db, log, from, to);
  if (entries.length !== to - from) throw ledgerDamaged(log, `entries ${from} to ${to} are not all there`);
  return entries.map(({ entry }) => entry);
}

async function proveInclusion(
  cache: TileCache,
  tree: Tree,
  index: number,
): Promise<InclusionProof | undefined> {
  const { size, root } = tree;
  if (index < 0 || index >= size) return undefined;
  const plan = planInclusion(index, size);
  return verified(cache, tree, [{ level: 0, index }, ...plan.flat()], (hashOf) => {
    const leafHash = hashOf({ level: 0, index });
    const hashes = proofOf(plan, hashOf, sha256);
    const valid = verifyInclusion({ index, size, leafHash, root, proof: hashes }, sha256);
    return valid ? { index, size, leafHash, hashes, checkpoint: tree.note } : undefined;
  });
}

async function proveConsistency(
  cache: TileCache,
  tree: Tree,
  from: number,
  to: number,
): Promise<readonly Uint8Array[] | undefined> {
  if (from < 0 || from > to || to > tree.size) return undefined;
  const plan = planConsistency(from, to);
  const nodes = [...plan.flat(), ...completeSubtrees(0, from), ...nodesOfPrefix(tree, to)];
  return verified(cache, tree, nodes, (hashOf) => {
    const fromRoot = rootOf(from, hashOf, sha256);
    const toRoot = rootOf(to, hashOf, sha256);
    const proof = proofOf(plan, hashOf, sha256);
    const valid =
      verifyConsistency({ from, fromRoot, to, toRoot, proof }, sha256) && isPrefix(tree, to, toRoot, hashOf);
    return valid ? proof : undefined;
  });
}

type HashOf = (node: TreeNode) => Uint8Array;

/** Whether this is the root of the first `size` entries of the signed tree. */
function isPrefix(tree: Tree, size: number, root: Uint8Array, hashOf: HashOf): boolean {
  const proof = proofOf(planConsistency(size, tree.size), hashOf, sha256);
  return verifyConsistency({ from: size, fromRoot: root, to: tree.size, toRoot: tree.root, proof }, sha256);
}

function nodesOfPrefix(tree: Tree, size: number): TreeNode[] {
  return [...completeSubtrees(0, size), ...planConsistency(size, tree.size).flat()];
}

/**
 * Makes a proof and hands it out only if it verifies. The tiles in the cache may be those of a tree that was
 * recovered since, so they are read once more before the database is blamed.
 */
async function verified<Proof>(
  cache: TileCache,
  tree: Tree,
  nodes: readonly TreeNode[],
  make: (hashOf: HashOf) => Proof | undefined,
): Promise<Proof> {
  const first = make(await loadNodes(cache, tree, nodes));
  if (first !== undefined) return first;
  cache.forget(tree.log);
  const second = make(await loadNodes(cache, tree, nodes));
  if (second === undefined) throw ledgerDamaged(tree.log, "its tiles do not make the tree that was signed");
  return second;
}

async function loadNodes(cache: TileCache, tree: Tree, nodes: readonly TreeNode[]): Promise<HashOf> {
  const needed = new Map(nodes.map((node) => [keyOf(node), tileOfNode(node)]));
  const trees = new Map<string, TileTree>();
  await Promise.all(
    [...needed].map(async ([key, { level, index }]) => {
      trees.set(
        key,
        await cache.load(tree.log, { level, index, width: tileWidthAt(level, index, tree.size) }),
      );
    }),
  );
  return (node) => {
    const tile = trees.get(keyOf(node));
    const hash = tile && hashInTile(tile, node);
    if (hash === undefined) throw ledgerDamaged(tree.log, `node ${node.level}/${node.index} is not there`);
    return hash;
  };
}

function keyOf(node: TreeNode): string {
  const { level, index } = tileOfNode(node);
  return `${level}/${index}`;
}
