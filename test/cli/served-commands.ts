import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect } from "vitest";
import { run } from "./cli.ts";
import { serve } from "./serve.ts";

/** An agent with the file that holds its key. */
export interface AgentWithFile {
  readonly id: string;
  readonly file: string;
}

/** A server for a whole file of tests, with Alice, a directory for keys, and what asks it by the command line. */
export async function serveCommands() {
  const server = await serve();
  const directory = mkdtempSync(join(tmpdir(), "countersign-cli-"));
  afterAll(async () => {
    await server.stop();
    rmSync(directory, { recursive: true });
  });

  /** What a command says in words; it must succeed. */
  async function told(...words: string[]): Promise<string> {
    const { exit, out, err } = await run(words, server.environment);
    expect([exit, err]).toEqual([0, ""]);
    return out;
  }

  /** The JSON with which it answers. */
  const answer = async (...words: string[]) => JSON.parse(await told(...words, "--json"));

  /** The code with which a command is refused. */
  async function refusal(...words: string[]): Promise<string> {
    const { exit, out, err } = await run([...words, "--json"], server.environment);
    expect(exit).toBe(1);
    expect(err).not.toContain("\n");
    return JSON.parse(out).error.code;
  }

  const alice: string = (await answer("user", "create", "--name", "Alice")).id;
  async function makeAgent(name: string, ...more: string[]): Promise<AgentWithFile> {
    const file = join(directory, `${name}.json`);
    const words = ["agent", "create", "--owner", alice, "--name", name, "--out", file, ...more];
    return { id: (await answer(...words)).id, file };
  }

  return { server, directory, alice, answer, told, refusal, makeAgent };
}
