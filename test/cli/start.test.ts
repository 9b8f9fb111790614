import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { freePort } from "../server.ts";
import { run } from "./cli.ts";
import { type ServedProcess, serve } from "./serve.ts";

let server: ServedProcess;
beforeAll(async () => {
  server = await serve();
});
afterAll(() => server.stop());

/** A second server of the installation, in this process: how its start ends, in one line. */
async function start(settings: Readonly<Record<string, string>>, ...words: string[]) {
  const environment = { COUNTERSIGN_DATA_DIR: server.dataDir, COUNTERSIGN_LOG_LEVEL: "silent", ...settings };
  const { startApp } = await import("../../src/app.ts");
  return run(["serve", "--port", String(await freePort()), ...words], environment, { startApp });
}

describe("a start with a setting that can't be used", () => {
  it("names COUNTERSIGN_NODE_CA when its file is not there", async () => {
    const { exit, err } = await start({ COUNTERSIGN_NODE_CA: "/nonexist" });
    expect([exit, err]).toEqual([
      2,
      expect.stringMatching(/^countersign: COUNTERSIGN_NODE_CA .*\/nonexist.*$/),
    ]);
  });

  it("names COUNTERSIGN_TRUST_DOMAIN when the installation is of another", async () => {
    const { exit, err } = await start({ COUNTERSIGN_TRUST_DOMAIN: "other.example" });
    expect([exit, err]).toEqual([
      2,
      expect.stringMatching(/^countersign: COUNTERSIGN_TRUST_DOMAIN is other.*$/),
    ]);
  });

  it("[SVI-060] gives no SVID to its own account where the issuer is for others than this machine", async () => {
    const dataDir = mkdtempSync(join(tmpdir(), `countersign-test-${process.pid}-`));
    onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
    const settings = { COUNTERSIGN_DATA_DIR: dataDir, COUNTERSIGN_ISSUER: "https://id.example.com" };
    const { exit, err } = await start(settings, "--attest-own-uid");
    expect([exit, err]).toEqual([
      2,
      expect.stringMatching(/^countersign: --attest-own-uid is for trying it out/),
    ]);
  });
});
