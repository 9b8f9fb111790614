import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatCheckpoint } from "@countersign/sdk/tlog/checkpoint";
import { formatNote } from "@countersign/sdk/tlog/note";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type CheckpointMemory, openCheckpointMemory } from "../../src/ledger/checkpoint-memory.ts";
import { newNoteKey } from "../tlog/note-key.ts";
import { acmeLog, originOf } from "./ledger-fixture.ts";

const key = newNoteKey(originOf(acmeLog));
const noteOf = (size: number, fill = 1) => {
  const text = formatCheckpoint({
    origin: key.name,
    size,
    root: new Uint8Array(32).fill(fill),
    extensions: [],
  });
  return formatNote({ text, signatures: [key.signature(text)] });
};

let dataDir: string;
let memory: CheckpointMemory;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "countersign-memory-"));
  memory = await openCheckpointMemory(dataDir);
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));
const files = () => readdir(join(dataDir, "checkpoints"));

describe("the memory of checkpoints", () => {
  test("says nothing before the first, then the last, whoever reads it", async () => {
    expect(await memory.recall(acmeLog)).toBeUndefined();
    await memory.remember(acmeLog, noteOf(3));
    await memory.remember(acmeLog, noteOf(5));
    const other = await openCheckpointMemory(dataDir);
    expect(await other.recall(acmeLog)).toMatchObject({ note: noteOf(5), checkpoint: { size: 5 } });
  });

  test("never goes back to a smaller one", async () => {
    await memory.remember(acmeLog, noteOf(5));
    await memory.remember(acmeLog, noteOf(4));
    expect((await memory.recall(acmeLog))?.checkpoint.size).toBe(5);
  });

  test("is whole when many write at once, and leaves nothing behind", async () => {
    await Promise.all(Array.from({ length: 30 }, (_, i) => memory.remember(acmeLog, noteOf(i))));
    expect(await memory.recall(acmeLog)).toBeDefined();
    expect(await files()).toEqual(["acme.checkpoint"]);
  });

  test("is for the server's own account only", async () => {
    await memory.remember(acmeLog, noteOf(5));
    expect((await stat(join(dataDir, "checkpoints"))).mode & 0o777).toBe(0o700);
    expect((await stat(join(dataDir, "checkpoints", "acme.checkpoint"))).mode & 0o777).toBe(0o600);
  });

  test("keeps as evidence what is set aside", async () => {
    expect(await memory.setAside(acmeLog, new Date(0))).toBeUndefined();
    await memory.remember(acmeLog, noteOf(5));
    const kept = await memory.setAside(acmeLog, new Date(0));
    expect(await memory.recall(acmeLog)).toBeUndefined();
    expect(await readFile(kept ?? "", "utf8")).toBe(noteOf(5));
    await memory.remember(acmeLog, noteOf(4, 2));
    expect(await memory.setAside(acmeLog, new Date(1))).not.toBe(kept);
    expect(await files()).toHaveLength(2);
  });

  test("that can't be read is no reason to go on", async () => {
    await writeFile(join(dataDir, "checkpoints", "acme.checkpoint"), "nonsense");
    await expect(memory.recall(acmeLog)).rejects.toThrow(/not a checkpoint/);
    await expect(memory.remember(acmeLog, noteOf(9))).rejects.toThrow(/not a checkpoint/);
  });
});
