import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type CheckpointMemory, openCheckpointMemory } from "../../src/ledger/checkpoint-memory.ts";
import { acmeLog } from "./ledger-fixture.ts";
import { noteOf } from "./some-note.ts";

let dataDir: string;
let memory: CheckpointMemory;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "countersign-memory-"));
  memory = await openCheckpointMemory(dataDir);
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));
const files = () => readdir(join(dataDir, "checkpoints", "acme"));

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

  test("holds the largest when many write at once, and leaves nothing behind", async () => {
    await Promise.all(Array.from({ length: 30 }, (_, i) => memory.remember(acmeLog, noteOf((i * 7) % 30))));
    expect(await memory.recall(acmeLog)).toMatchObject({ note: noteOf(29) });
    expect(await files()).toEqual(["29.checkpoint"]);
  });

  test("never goes back while two processes write to it", async () => {
    const script = fileURLToPath(new URL("remember-checkpoints.ts", import.meta.url));
    const writers = ["1", "2"].map((first) =>
      spawn(process.execPath, ["--conditions=source", script, dataDir, first], { stdio: "inherit" }),
    );
    let running = writers.length;
    const ended = writers.map(async (writer) => {
      const [code] = await once(writer, "exit");
      running--;
      return code;
    });
    for (let last = 0; running > 0; ) {
      const size = (await memory.recall(acmeLog))?.checkpoint.size ?? 0;
      expect(size).toBeGreaterThanOrEqual(last);
      last = size;
    }
    expect(await Promise.all(ended)).toEqual([0, 0]);
    expect(await files()).toEqual(["800.checkpoint"]);
  });

  test("takes a smaller one that comes in from elsewhere for what it is", async () => {
    await memory.remember(acmeLog, noteOf(5));
    await writeFile(join(dataDir, "checkpoints", "acme", "4.checkpoint"), noteOf(4));
    expect((await memory.recall(acmeLog))?.checkpoint.size).toBe(5);
    await memory.setAside(acmeLog, new Date(0));
    expect(await memory.recall(acmeLog)).toBeUndefined();
  });

  test("is for the server's own account only", async () => {
    await memory.remember(acmeLog, noteOf(5));
    expect((await stat(join(dataDir, "checkpoints"))).mode & 0o777).toBe(0o700);
    expect((await stat(join(dataDir, "checkpoints", "acme"))).mode & 0o777).toBe(0o700);
    expect((await stat(join(dataDir, "checkpoints", "acme", "5.checkpoint"))).mode & 0o777).toBe(0o600);
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
    const wrong = { "8.checkpoint": "nonsense", "9.checkpoint": noteOf(5), "x.checkpoint": noteOf(5) };
    await memory.remember(acmeLog, noteOf(5));
    for (const [name, note] of Object.entries(wrong)) {
      const file = join(dataDir, "checkpoints", "acme", name);
      await writeFile(file, note);
      await expect(memory.recall(acmeLog)).rejects.toThrow(/not a checkpoint/);
      await expect(memory.remember(acmeLog, noteOf(9))).rejects.toThrow(/not a checkpoint/);
      await rm(file);
    }
  });
});
