import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";

const main = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
const sabotage = new URL("permissive-narrowing.mjs", import.meta.url).href;
const reportSchema = z.object({
  ok: z.literal(true),
  seconds: z.number(),
  steps: z.array(
    z.object({ title: z.string(), how: z.string().min(1), happened: z.array(z.string()).min(1) }),
  ),
  kept: z.record(z.string(), z.string()).optional(),
});

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "countersign-demo-test-"));
  chmodSync(directory, 0o755);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function startDemo(words: readonly string[] = [], environment: Record<string, string> = {}) {
  const child = spawn(process.execPath, [main, "demo", ...words], {
    env: { PATH: "/usr/bin:/bin", TMPDIR: directory, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return { child, out: collect(child.stdout), err: collect(child.stderr) };
}

/** What a stream says, as it says it. */
function collect(stream: NodeJS.ReadableStream): { text: string } {
  const collected = { text: "" };
  stream.on("data", (chunk) => {
    collected.text += String(chunk);
  });
  return collected;
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  await once(child, "close");
  return child.exitCode;
}

/** Processes that work in the demo's directory: its database. Elsewhere than on Linux nobody can tell. */
function processesInDirectory(): string[] {
  if (!existsSync("/proc/self/cwd")) return [];
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`).startsWith(directory);
    } catch {
      return false;
    }
  });
}

describe("the demo", () => {
  it("plays the whole story to its end by itself, says how each step is done, and leaves nothing behind", async () => {
    const { child, out } = startDemo(["--json"]);
    expect(await exitOf(child)).toBe(0);
    const report = reportSchema.parse(JSON.parse(out.text));
    expect(report.steps.map(({ title }) => title)).toEqual(
      expect.arrayContaining([
        expect.stringContaining("one there and one elsewhere"),
        expect.stringContaining("RFC 8693"),
        expect.stringContaining("budget is spent"),
        expect.stringContaining(
          process.platform === "linux" ? "A thief with the same JWT-SVID" : "without any secret",
        ),
        expect.stringContaining("offline"),
      ]),
    );
    expect(report.steps.length).toBeGreaterThanOrEqual(process.platform === "linux" ? 33 : 26);
    expect([readdirSync(directory), processesInDirectory()]).toEqual([[], []]);
  });

  it("fails when narrowing is permissive", async () => {
    const { child, out } = startDemo(["--json"], { NODE_OPTIONS: `--import=${sabotage}` });
    expect(await exitOf(child)).toBe(1);
    expect(JSON.parse(out.text)).toMatchObject({
      error: { detail: expect.stringContaining("unexpected outcome") },
    });
    expect([readdirSync(directory), processesInDirectory()]).toEqual([[], []]);
  });

  it.each(["SIGINT", "SIGTERM"] as const)("leaves nothing behind after %s", async (signal) => {
    const { child, out, err } = startDemo();
    while (!out.text.includes("Alice is registered") && child.exitCode === null) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    child.kill(signal);
    expect(await exitOf(child)).toBe(1);
    expect(err.text).toContain("interrupted");
    expect([readdirSync(directory), processesInDirectory()]).toEqual([[], []]);
  });

  it("with --keep leaves the server up and says where", async () => {
    const { child, out } = startDemo(["--keep", "--json"]);
    expect(await exitOf(child)).toBe(0);
    const { kept = {} } = reportSchema.parse(JSON.parse(out.text));
    expect((await fetch(kept["health"] ?? "")).status).toBe(200);
    const pid = Number(/^kill (\d+)$/.exec(kept["stop it"] ?? "")?.[1]);
    process.kill(pid, "SIGTERM");
    while (isRunning(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(processesInDirectory()).toEqual([]);
  });
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A child that nobody waits for stays as a zombie where process 1 does not reap.
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
