import { randomInt } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Checkpoint } from "@countersign/sdk/tlog/checkpoint";
import { expect, test } from "vitest";
import { freePort, makeInstallation, untilReady } from "../server.ts";
import { castPlayers } from "./cast.ts";
import { continues, expectRecorded, exportLog, seeCheckpoint, verifierKeyOf } from "./evidence.ts";
import { startLoad, untilServed } from "./load.ts";
import { killBackend, killPostmaster } from "./postgres.ts";

type Victim = "first server" | "second server" | "PostgreSQL" | "a backend";
const rounds: readonly (readonly Victim[])[] = [
  ["first server"],
  ["PostgreSQL"],
  ["second server"],
  ["a backend"],
  ["PostgreSQL"],
  ["PostgreSQL", "first server", "second server"],
];
const callers = 24;

test("[FLT-001] [FLT-002] [FLT-004] whatever is killed under load, every token handed out has its entry, and the log neither gaps nor forks", async () => {
  const installation = await makeInstallation();
  const secondPort = await freePort();
  let first = await installation.startServer();
  let second = await installation.startServer(secondPort);
  const vkey = await verifierKeyOf(installation);
  const cast = await castPlayers(installation, first);
  const agent = await cast.createAgent("courier");
  const delegation = await cast.grant(agent);
  const servers = [() => first, () => second];
  const load = startLoad(installation, { callers, servers, agent, delegation });

  /** Kills one of them; what it yields starts it again, where that does not happen by itself. */
  async function kill(victim: Victim): Promise<() => Promise<void>> {
    switch (victim) {
      case "first server":
        await first.kill();
        return async () => {
          first = await installation.startServer();
        };
      case "second server":
        await second.kill();
        return async () => {
          second = await installation.startServer(secondPort);
        };
      case "PostgreSQL":
        killPostmaster(installation.dataDir);
        return async () => undefined;
      case "a backend":
        await killBackend(installation.dataDir);
        return async () => undefined;
    }
  }

  const seen: Checkpoint[] = [];
  let kills = 0;
  for (const victims of [rounds, rounds, rounds].flat()) {
    await untilReady([first, second]);
    await untilServed(load, callers);
    await delay(randomInt(300));
    seen.push(await seeCheckpoint(first, vkey));
    kills += victims.length;
    const restarts = await Promise.all(victims.map(kill));
    await Promise.all(restarts.map((restart) => restart()));
  }
  expect(kills).toBeGreaterThanOrEqual(20);
  await untilReady([first, second]);
  await untilServed(load, callers);
  await load.stop();

  // Whoever got an answer was told that it can't be done now, and nothing else.
  expect([...load.refusals.keys()]).toEqual(["503 temporarily_unavailable"]);
  const evidence = await exportLog(installation, vkey);
  expectRecorded(evidence, load.acknowledged);
  const last = await seeCheckpoint(first, vkey);
  for (const checkpoint of seen) expect(await continues(first, checkpoint, last)).toBe(true);
});
