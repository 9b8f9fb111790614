import { constants } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { LogId } from "@countersign/sdk/model/ids";
import { type Checkpoint, parseCheckpoint, parseDecimal } from "@countersign/sdk/tlog/checkpoint";
import { parseNote } from "@countersign/sdk/tlog/note";

/** A checkpoint that this installation signed. */
export interface RememberedCheckpoint {
  /** The signed note, verbatim. */
  readonly note: string;
  readonly checkpoint: Checkpoint;
}

/**
 * The last checkpoint of each log, kept outside the database, so that a database which was set back in time is
 * noticed. It belongs to one data directory: a server with another one may remember less, never something else.
 */
export interface CheckpointMemory {
  /**
   * The largest that was remembered; undefined when nothing is.
   *
   * @throws Error when what is there is not a checkpoint: better no answer than a wrong one
   */
  readonly recall: (log: LogId) => Promise<RememberedCheckpoint | undefined>;
  /** Remembers a checkpoint, durably. However many processes do so at once, what is recalled never gets smaller. */
  readonly remember: (log: LogId, note: string) => Promise<void>;
  /**
   * Moves what is remembered aside. It is evidence of what was signed, and never deleted.
   *
   * @returns the file it is kept in, or undefined when nothing was remembered
   */
  readonly setAside: (log: LogId, at: Date) => Promise<string | undefined>;
}

/**
 * Opens the memory in `<dataDir>/checkpoints`, which only the server's own account may enter: a directory for each log,
 * and in it a file for each checkpoint, named after its size. The largest counts, and only smaller ones are ever
 * removed, so that writers need no lock, and files that are copied in from elsewhere take nothing away.
 */
export async function openCheckpointMemory(dataDir: string): Promise<CheckpointMemory> {
  const directory = join(dataDir, "checkpoints");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const directoryOf = (log: LogId) => join(directory, log);

  async function recall(log: LogId): Promise<RememberedCheckpoint | undefined> {
    for (;;) {
      const [size] = await sizesIn(directoryOf(log));
      if (size === undefined) return undefined;
      const file = join(directoryOf(log), nameOf(size));
      const note = await readIfThere(file);
      // Not there any more: a larger one took its place.
      if (note !== undefined) return { note, checkpoint: checkpointIn(note, file, size) };
    }
  }

  async function remember(log: LogId, note: string): Promise<void> {
    const { size } = checkpointIn(note, "the new checkpoint");
    if (((await recall(log))?.checkpoint.size ?? 0) > size) return;
    const path = directoryOf(log);
    if ((await mkdir(path, { recursive: true, mode: 0o700 })) !== undefined) await syncDirectory(directory);
    await writeDurably(path, nameOf(size), note);
    await forgetAllBut(path, (await sizesIn(path))[0]);
  }

  async function setAside(log: LogId, at: Date): Promise<string | undefined> {
    const known = await recall(log);
    if (known === undefined) return undefined;
    const { size } = known.checkpoint;
    const path = directoryOf(log);
    // A writer that crashed may have left smaller ones, which must not come up again.
    await forgetAllBut(path, size);
    const kept = join(path, `${size}.set-aside-${at.toISOString().replaceAll(/[:.]/g, "-")}`);
    await rename(join(path, nameOf(size)), kept);
    await syncDirectory(path);
    return kept;
  }

  return { recall, remember, setAside };
}

const suffix = ".checkpoint";
const nameOf = (size: number) => `${size}${suffix}`;

/** The sizes of the checkpoints that are remembered in a log's directory, the largest first. */
async function sizesIn(path: string): Promise<readonly number[]> {
  const names = (await unlessAbsent(readdir(path))) ?? [];
  const sizes = names.filter((name) => name.endsWith(suffix)).map((name) => sizeOf(path, name));
  return sizes.sort((a, b) => b - a);
}

function sizeOf(path: string, name: string): number {
  const size = parseDecimal(name.slice(0, -suffix.length));
  if (size === undefined) throw new Error(`${join(path, name)} is not a checkpoint named after its size`);
  return size;
}

/** Removes the checkpoints that are smaller than this one. */
async function forgetAllBut(path: string, kept = 0): Promise<void> {
  const smaller = (await sizesIn(path)).filter((size) => size < kept);
  for (const size of smaller) await rm(join(path, nameOf(size)), { force: true });
}

function checkpointIn(note: string, where: string, size?: number): Checkpoint {
  const parsed = parseNote(note);
  const checkpoint = parsed && parseCheckpoint(parsed.text);
  if (checkpoint === undefined) throw new Error(`${where} is not a checkpoint`);
  if (checkpoint.size !== (size ?? checkpoint.size))
    throw new Error(`${where} is not a checkpoint of that size`);
  return checkpoint;
}

const readIfThere = (file: string) => unlessAbsent(readFile(file, "utf8"));

async function unlessAbsent<Found>(found: Promise<Found>): Promise<Found | undefined> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

let writes = 0;

/** Writes a file so that a crash leaves either what was there or what is new, whole. */
async function writeDurably(path: string, name: string, text: string): Promise<void> {
  // Others may write at the same time, in this process or another: each has a temporary name of its own.
  const temporary = join(path, `${name}.${process.pid}-${++writes}.tmp`);
  const handle = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, 0o600);
  try {
    await handle.writeFile(text, "utf8");
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await rename(temporary, join(path, name));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(path);
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
