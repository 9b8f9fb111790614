import { fromBase64, toBase64 } from "./base64.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { readEntry } from "./export-entry.ts";
import { ExportFault, type ExportProblem } from "./export-fault.ts";
import type { ExportRecord } from "./export-record.ts";
import { emptyFrontier, extendFrontier, type Frontier, frontierRoot } from "./frontier.ts";
import type { VerifiedSignature } from "./note.ts";
import { type Sha256, sameBytes } from "./rfc6962.ts";
import { textDigest } from "./text-digest.ts";
import { splitHashes, tileWidth } from "./tile.ts";
import { formatVerifierKey, type VerifierKey } from "./vkey.ts";

/** What an export that holds together shows. */
export interface ExportFindings {
  readonly origin: string;
  /** Entries that the signed checkpoint covers. */
  readonly size: number;
  /** base64, as in the checkpoint. */
  readonly root: string;
  /** `given`: the caller's key signed. `self-asserted`: only a key that the export itself names. */
  readonly keys: "given" | "self-asserted";
  /** Verifier keys. */
  readonly signedBy: readonly string[];
  /** Witnesses that vouch for the checkpoint. With none, the log may have shown others another tree. */
  readonly witnesses: readonly { readonly name: string; readonly timeSeconds: number }[];
  /** Policy versions by which something was decided. */
  readonly policies: number;
  /** Decision inputs that are there, and those that were erased. */
  readonly inputs: { readonly opened: number; readonly erased: number };
  /** The first 100 indices at which the log went on from an older state: what was signed after that is lost. */
  readonly recoveries: readonly number[];
}

/** Who signed the checkpoint that is replayed. */
export interface Signers {
  readonly keys: ExportFindings["keys"];
  readonly signedBy: readonly VerifierKey[];
  readonly witnesses: readonly VerifiedSignature[];
}

/** A tile that must come next, as the entries make it. */
interface DueTile {
  readonly level: number;
  readonly index: number;
  readonly hashes: readonly Uint8Array[];
}

/** Where the replay of an export stands. */
export interface Replay {
  readonly hash: Sha256;
  readonly checkpoint: Checkpoint;
  readonly signers: Signers;
  readonly policies: Set<string>;
  readonly inputs: { opened: number; erased: number };
  readonly recoveries: number[];
  nextIndex: number;
  /** The tree of the full tiles of entries, and the leaves after them. */
  frontier: Frontier;
  leaves: Uint8Array[];
  /** The tree before the tile of leaves that was filled last. */
  before: Frontier;
  dueTiles: DueTile[];
  dueInput: string | undefined;
  /** The policy that was just given, and that the next entry must cite. */
  uncited: string | undefined;
  /** Since a tile of leaves differed from the entries: that problem, and the tree as the tiles tell it. */
  suspect: { problem: ExportProblem; frontier: Frontier } | undefined;
}

const recoveriesMax = 100;

/** Begins to replay the entries under a checkpoint whose signature was verified. */
export function startReplay(hash: Sha256, checkpoint: Checkpoint, signers: Signers): Replay {
  const replay: Replay = {
    hash,
    checkpoint,
    signers,
    policies: new Set(),
    inputs: { opened: 0, erased: 0 },
    recoveries: [],
    nextIndex: 0,
    frontier: emptyFrontier,
    leaves: [],
    before: emptyFrontier,
    dueTiles: [],
    dueInput: undefined,
    uncited: undefined,
    suspect: undefined,
  };
  if (checkpoint.size === 0) judge(replay);
  return replay;
}

/** Takes the next record. @throws ExportFault for one that is wrong or not due */
export function takeRecord(replay: Replay, record: ExportRecord, line: number): void {
  const [due, ...later] = replay.dueTiles;
  if (replay.dueInput !== undefined) {
    takeInput(replay, record, replay.dueInput);
  } else if (due !== undefined) {
    takeTile(replay, record, due, line);
    replay.dueTiles = later;
    if (later.length === 0 && replay.nextIndex === replay.checkpoint.size) judge(replay);
  } else if (replay.nextIndex === replay.checkpoint.size) {
    // Whatever follows is under no signature: to read it would be to vouch for it.
    throw new ExportFault("unexpected_record", "the checkpoint does not cover this");
  } else if (record.kind === "entry") {
    takeEntry(replay, record.index, record.entry);
  } else if (record.kind === "policy") {
    takePolicy(replay, record.hash, record.text);
  } else {
    throw new ExportFault("unexpected_record", `no ${record.kind} is due here`);
  }
}

/** Ends the replay. @throws ExportFault when something is still due */
export function finishReplay(replay: Replay): ExportFindings {
  const { checkpoint, signers, nextIndex: index } = replay;
  if (replay.dueInput !== undefined)
    throw new ExportFault("truncated", "a decision's input is missing at the end");
  if (replay.dueTiles.length > 0) throw new ExportFault("tile_missing", "a tile is missing at the end");
  if (index < checkpoint.size)
    throw new ExportFault("truncated", "entries are missing at the end", { index });
  return {
    origin: checkpoint.origin,
    size: checkpoint.size,
    root: toBase64(checkpoint.root),
    keys: signers.keys,
    signedBy: signers.signedBy.map(formatVerifierKey),
    witnesses: signers.witnesses.map(({ key, timeSeconds = 0 }) => ({ name: key.name, timeSeconds })),
    policies: replay.policies.size,
    inputs: replay.inputs,
    recoveries: replay.recoveries,
  };
}

function takeEntry(replay: Replay, index: number, text: string): void {
  const { checkpoint, nextIndex, hash } = replay;
  if (index > nextIndex) throw new ExportFault("entry_missing", "the entry is missing", { index: nextIndex });
  if (index < nextIndex)
    throw new ExportFault("entry_repeated", "the entry is there twice or late", { index });
  const { entry, leaf } = readEntry(text, index, checkpoint.origin, hash);
  const policy = entry.decision?.policy;
  if (policy !== undefined && !replay.policies.has(policy)) {
    throw new ExportFault("bad_policy", "the policy that decided is missing", { index });
  }
  if (replay.uncited !== undefined && replay.uncited !== policy) {
    throw new ExportFault("bad_policy", "the policy before it is not the one that decided", { index });
  }
  replay.uncited = undefined;
  if (entry.type === "log.recovered" && replay.recoveries.length < recoveriesMax)
    replay.recoveries.push(index);
  replay.nextIndex++;
  replay.dueInput = entry.decision?.input;
  replay.leaves.push(leaf);
  const last = replay.nextIndex === checkpoint.size;
  if (last || replay.leaves.length === tileWidth) fillTiles(replay);
  if (last) replay.dueTiles.push(...partialTiles(replay.frontier));
}

function fillTiles(replay: Replay): void {
  const { frontier, tiles } = extendFrontier(replay.frontier, replay.leaves, replay.hash);
  replay.before = replay.frontier;
  replay.frontier = frontier;
  replay.leaves = [];
  replay.dueTiles = tiles;
}

function partialTiles({ size, levels }: Frontier): DueTile[] {
  const tiles = levels.map((hashes, level) => ({
    level,
    index: Math.floor(size / tileWidth ** (level + 1)),
    hashes,
  }));
  return tiles.filter(({ hashes }) => hashes.length > 0);
}

function takeTile(replay: Replay, record: ExportRecord, due: DueTile, line: number): void {
  const tile = { level: due.level, index: due.index };
  if (record.kind !== "tile" || record.level !== due.level || record.index !== due.index) {
    throw new ExportFault("tile_missing", "the tile is missing", { tile });
  }
  const hashes = splitHashes(fromBase64(record.hashes) ?? new Uint8Array(0)) ?? [];
  const place = firstDifference(due.hashes, hashes);
  if (place === undefined && replay.suspect === undefined) return;
  const index = (due.index * tileWidth + (place ?? 0)) * tileWidth ** due.level;
  const fault = new ExportFault("tile_mismatch", "the tile is not what the entries make", { index, tile });
  if (due.level === 0) {
    replay.suspect ??= { problem: fault.at(line), frontier: replay.before };
    replay.suspect.frontier = extendFrontier(replay.suspect.frontier, hashes, replay.hash).frontier;
  } else if (replay.suspect === undefined) {
    throw fault;
  }
}

function firstDifference(due: readonly Uint8Array[], found: readonly Uint8Array[]): number | undefined {
  const none = new Uint8Array(0);
  const longer = Math.max(due.length, found.length);
  for (let i = 0; i < longer; i++) if (!sameBytes(due[i] ?? none, found[i] ?? none)) return i;
  return undefined;
}

/** Holds the whole tree against the signed root, and says which of entries and tiles is the altered one. */
function judge({ checkpoint, frontier, suspect, hash }: Replay): void {
  const entriesAgree = sameBytes(frontierRoot(frontier, hash), checkpoint.root);
  if (suspect === undefined && entriesAgree) return;
  if (suspect !== undefined && entriesAgree) {
    const detail = "the tile was altered: the entries make the signed root";
    suspect.problem = { ...suspect.problem, code: "tile_altered", detail };
  } else if (suspect !== undefined && sameBytes(frontierRoot(suspect.frontier, hash), checkpoint.root)) {
    const detail = "the entry was altered: the tiles make the signed root";
    suspect.problem = { ...suspect.problem, code: "entry_altered", detail };
  }
  throw new ExportFault("root_mismatch", "entries and tiles agree, but do not make the signed root");
}

function takeInput(replay: Replay, record: ExportRecord, due: string): void {
  const where = { index: replay.nextIndex - 1 };
  if (record.kind !== "input" || record.hash !== due) {
    throw new ExportFault("bad_input", "the decision's input is missing", where);
  }
  if (record.text !== null && textDigest(record.text, replay.hash) !== due) {
    throw new ExportFault(
      "bad_input",
      "the decision's input is not the one whose hash the entry holds",
      where,
    );
  }
  replay.inputs[record.text === null ? "erased" : "opened"]++;
  replay.dueInput = undefined;
}

function takePolicy(replay: Replay, digest: string, text: string): void {
  if (replay.policies.has(digest)) throw new ExportFault("unexpected_record", "the policy is there twice");
  if (textDigest(text, replay.hash) !== digest) {
    throw new ExportFault("bad_policy", "the policy is not the one whose hash it bears", {
      index: replay.nextIndex,
    });
  }
  if (replay.uncited !== undefined)
    throw new ExportFault("unexpected_record", "no entry cites the policy before");
  replay.policies.add(digest);
  replay.uncited = digest;
}
