import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "./cli.ts";
import { serveCommands } from "./served-commands.ts";

const { alice, answer, told, refusal } = await serveCommands();
const directory = mkdtempSync(join(tmpdir(), "countersign-cli-"));
const [prompt, tools] = ["prompt.txt", "tools.json"].map((name) => join(directory, name)) as [string, string];
let agent: string;

beforeAll(async () => {
  writeFileSync(prompt, "You sort mail.\n");
  writeFileSync(tools, "[]\n");
  agent = (await answer("agent", "create", "--owner", alice, "--name", "sorter", "--no-key")).id;
});
afterAll(() => rmSync(directory, { recursive: true }));

const checksum = (...words: string[]) => answer("agent", "checksum", ...words);
const given = () => ["--model", "model-1", "--prompt", prompt, "--tools", tools];

describe("agent checksum", () => {
  it("says what the first that is approved and the last that is withdrawn mean", async () => {
    const { id } = await answer("agent", "create", "--owner", alice, "--name", "filer", "--no-key");
    const change = (verb: string, hex: string) =>
      told("agent", "checksum", verb, id, "--checksum", hex.repeat(64));
    expect(await change("approve", "1")).toMatch(/only measured workloads/);
    expect(await change("approve", "2")).not.toMatch(/only measured workloads/);
    expect(await change("withdraw", "1")).not.toMatch(/nobody/);
    expect(await change("withdraw", "2")).toMatch(/nobody gets an SVID now/);
    expect(await change("approve", "1")).not.toMatch(/only measured workloads/);
  });

  it("[CHK-001] computes what the manifest has to say, and its checksum", async () => {
    const computed = await checksum("compute", ...given());
    // sha256sum of the files, and of {"model":…,"prompt_sha256":…,"tools_sha256":…} without spaces
    expect(computed).toEqual({
      checksum: "279be7e8d181400473f600fc23479b5a63698fad94b72058ad997fe570bd2570",
      manifest: {
        model: "model-1",
        prompt_sha256: "b3deb4b318f72664ced1ca63bc67b8a8dfe2ae4ac366305a77e7835602ace97f",
        tools_sha256: "37517e5f3dc66819f61f5a7bb8ace1921282415f10551d2defa5c3eb0985b570",
      },
    });
    const missing = ["agent", "checksum", "compute", "--model", "m", "--prompt", "/none", "--tools", tools];
    expect((await run(missing)).exit).toBe(2);
  });

  it("[CHK-007] approves, lists and withdraws, each once", async () => {
    const { checksum: of } = await checksum("compute", ...given());
    const change = ["--checksum", of];
    expect(await refusal("agent", "checksum", "withdraw", agent, ...change)).toBe("not_found");
    expect(await checksum("approve", agent, ...change)).toMatchObject({ agent, status: "approved" });
    expect(await refusal("agent", "checksum", "approve", agent, ...change)).toBe("conflict");
    const [held] = (await checksum("list", agent)).items;
    expect(held).toMatchObject({ checksum: of, status: "approved" });
    expect(held).not.toHaveProperty("withdrawn_at");
    const aTime = expect.stringMatching(/^\d{4}-\d\d-\d\dT/);
    const withdrawn = { status: "withdrawn", withdrawn_at: aTime };
    expect(await checksum("withdraw", agent, ...change)).toMatchObject(withdrawn);
    expect((await checksum("list", agent)).items).toMatchObject([{ checksum: of, ...withdrawn }]);
    expect(await told("agent", "checksum", "list", agent)).toMatch(
      / withdrawn +approved \S+ +withdrawn \S+Z$/,
    );
    expect(await refusal("agent", "checksum", "withdraw", agent, ...change)).toBe("conflict");
    expect((await checksum("list", agent, "--limit", "1")).next).toBe(of);
    expect((await checksum("list", agent, "--limit", "1", "--cursor", of)).items).toEqual([]);
    const shouted = ["agent", "checksum", "approve", agent, "--checksum", of.toUpperCase()];
    expect((await run(shouted)).exit).toBe(2);
  });
});
