import { expect, test } from "vitest";
import { freePort, makeInstallation } from "../server.ts";

// Skipped elsewhere: a socket of the Workload API is served on Linux only.
test.runIf(process.platform === "linux")(
  "a second server on one data directory says in one line that another serves the socket",
  async () => {
    const installation = await makeInstallation();
    await installation.startServer();
    const second = await installation.startServer(await freePort());
    const { out, err } = await second.stop();
    const lines = `${out}${err}`.split("\n").filter((line) => line.includes("socket"));
    const told = lines.filter((line) => line.includes("another server serves its socket"));
    expect(told).toHaveLength(1);
    expect(`${out}${err}`).not.toMatch(/ {4}at |"stack"/);
  },
);
