import { constants } from "node:fs";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { LogId } from "@countersign/sdk/model/ids";
import { type Checkpoint, parseCheckpoint } from "@countersign/sdk/tlog/checkpoint";
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
   * Undefined when nothing is remembered.
   *
   * @throws Error when what is there is not a checkpoint: better no answer than a wrong one
   */
  readonly recall: (log: LogId) => Promise<RememberedCheckpoint | undefined>;
  /** Remembers a checkpoint, durably, unless a larger one is remembered already. */
  readonly remember: (log: LogId, note: string) => Promise<void>;
  /**
   * Moves what is remembered aside. It is evidence of what was signed, and never deleted.
   *
   * @returns the file it is kept in, or undefined when nothing was remembered
   */
  readonly setAside: (log: LogId, at: Date) => Promise<string | undefined>;
}

/** Opens the memory in `<dataDir>/checkpoints`, which only the server's own account may enter. */
export async function openCheckpointMemory(dataDir: string): Promise<CheckpointMemory> {
  const directory = join(dataDir, "checkpoints");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const fileOf = (log: LogId) => join(directory, `${log}.checkpoint`);

  async function recall(log: LogId): Promise<RememberedCheckpoint | undefined> {
    const note = await readIfThere(fileOf(log));
    return note === undefined ? undefined : { note, checkpoint: checkpointIn(note, fileOf(log)) };
  }

  async function remember(log: LogId, note: string): Promise<void> {
    const known = await recall(log);
    if (known !== undefined && known.checkpoint.size > checkpointIn(note, "the new checkpoint").size) return;
    await writeDurably(directory, fileOf(log), note);
  }

  async function setAside(log: LogId, at: Date): Promise<string | undefined> {
    const known = await recall(log);
    if (known === undefined) return undefined;
    const time = at.toISOString().replaceAll(/[:.]/g, "-");
    const kept = join(directory, `${log}.size-${known.checkpoint.size}.set-aside-${time}`);
    await rename(fileOf(log), kept);
    await syncDirectory(directory);
    return kept;
  }

  return { recall, remember, setAside };
}

function checkpointIn(note: string, where: string): Checkpoint {
  const parsed = parseNote(note);
  const checkpoint = parsed && parseCheckpoint(parsed.text);
  if (checkpoint === undefined) throw new Error(`${where} is not a checkpoint`);
  return checkpoint;
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

let writes = 0;

/** Writes a file so that a crash leaves either what was there or what is new, whole. */
async function writeDurably(directory: string, file: string, text: string): Promise<void> {
  // Others may write at the same time, in this process or another: each has a temporary name of its own.
  const temporary = `${file}.${process.pid}-${++writes}.tmp`;
  const handle = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, 0o600);
  try {
    await handle.writeFile(text, "utf8");
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(directory);
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
