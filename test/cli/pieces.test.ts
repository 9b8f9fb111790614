import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseDuration } from "../../src/commands/duration.ts";
import {
  isOpenToOthers,
  keyForNewPrincipal,
  readKeyFile,
  readKeyToUse,
  writeKeyFile,
} from "../../src/commands/key-file.ts";
import { childEnvironment } from "../../src/config.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "countersign-cli-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe("a duration", () => {
  it.each([
    ["90s", 90],
    ["30m", 1800],
    ["1h", 3600],
    ["7d", 604_800],
    ["366d", 31_622_400],
  ])("%s is %i seconds", (text, seconds) => expect(parseDuration(text)).toBe(seconds));

  it.each(["", "1", "h", "0h", "-1h", "1.5h", "1 h", "1H", "01h", "367d", "1h30m", "999999999d", "1e3s"])(
    "%j is none",
    (text) => expect(parseDuration(text)).toBeUndefined(),
  );
});

describe("a key file", () => {
  it("is written for its owner only, and never over another file", async () => {
    const { privateJwk } = await makeKeyPair();
    const path = join(directory, "key.json");
    await writeKeyFile(path, { clientId: "spiffe://a/b", privateJwk });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await isOpenToOthers(path)).toBe(false);
    expect(await readKeyFile(path)).toEqual({ clientId: "spiffe://a/b", privateJwk });
    const before = readFileSync(path, "utf8");
    await expect(writeKeyFile(path, {})).rejects.toThrow("choose a file that does not exist yet");
    expect(readFileSync(path, "utf8")).toBe(before);
  });

  it("is used with a warning when others can get at it", async () => {
    const path = join(directory, "shared.json");
    await writeKeyFile(path, await makeKeyPair());
    const notes: string[] = [];
    const cli = { note: (text: string) => void notes.push(text) };
    await readKeyToUse(cli, path);
    expect(notes).toEqual([]);
    for (const mode of [0o640, 0o604, 0o620]) {
      chmodSync(path, mode);
      await readKeyToUse(cli, path);
      await keyForNewPrincipal(cli, path);
    }
    const warning = `warning: ${path} is open to other users; take it from them with chmod go= ${path}`;
    expect(notes).toEqual(Array(6).fill(warning));
  });

  it.each(["", "{}", "[]", '{"kty":"EC","crv":"P-256"}', '{"privateJwk":{}}'])("%j is none", async (text) => {
    const path = join(directory, "bad.json");
    writeFileSync(path, text);
    await expect(readKeyFile(path)).rejects.toThrow(path);
  });

  it("gives its public half only to the server, whichever half it holds", async () => {
    const { publicJwk, privateJwk } = await makeKeyPair();
    for (const half of [publicJwk, privateJwk]) {
      const path = join(directory, `half-${Object.keys(half).length}.json`);
      writeFileSync(path, JSON.stringify(half));
      const chosen = await keyForNewPrincipal({ note: () => undefined }, path);
      expect(chosen).toEqual({ publicJwk });
    }
  });
});

it("a server started from here inherits none of this one's settings", () => {
  const environment = { PATH: "/bin", DATABASE_URL: "postgres://x", COUNTERSIGN_KEK: "secret" };
  expect(childEnvironment({ COUNTERSIGN_PORT: "1" }, environment)).toEqual({
    PATH: "/bin",
    COUNTERSIGN_PORT: "1",
  });
});
