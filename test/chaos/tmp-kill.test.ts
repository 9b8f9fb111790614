import { randomInt } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Checkpoint } from "@countersign/sdk/tlog/checkpoint";
import { expect, test } from "vitest";
import { freePort, makeInstallation, type ServerProcess, until } from "../server.ts";
import { castPlayers } from "./cast.ts";
import { continues, expectRecorded, exportLog, seeCheckpoint, verifierKeyOf } from "./evidence.ts";
import { startLoad } from "./load.ts";
import { killBackend, killPostmaster } from "./postgres.ts";

type Victim = "first server" | "second server" | "PostgreSQL" | "a backend" | "everything";
const victims: readonly Victim[] = [
  "PostgreSQL","PostgreSQL","PostgreSQL","PostgreSQL","PostgreSQL","PostgreSQL"
];
const rounds = 1;
const callers = 24;

test("[FLT-001] [FLT-002] [FLT-004] whatever is killed under load, every token handed out has its entry, and the log neither gaps nor forks", {
  timeout: 150_000,
}, async () => {
  const installation = await makeInstallation({COUNTERSIGN_LOG_LEVEL:'info'});
  const secondPort = await freePort();
  let first = await installation.startServer();
  let second = await installation.startServer(secondPort);
  const vkey = await verifierKeyOf(installation);
  const cast = await castPlayers(installation, first);
  const agent = await cast.createAgent("courier");
  const delegation = await cast.grant(agent);
  const at = [() => first, () => second];
  const load = startLoad(installation, { callers, servers: at, agent, delegation });
  const seen: Checkpoint[] = [];
  let kills = 0;

  async function kill(victim: Victim): Promise<void> {
    kills++;
    switch (victim) {
      case "first server":
        await first.kill();
        first = await installation.startServer();
        return;
      case "second server":
        await second.kill();
        second = await installation.startServer(secondPort);
        return;
      case "PostgreSQL":
        return killPostmaster(installation.dataDir);
      case "a backend":
        return killBackend(installation.dataDir);
      case "everything":
        killPostmaster(installation.dataDir);
        await Promise.all([first.kill(), second.kill()]);
        first = await installation.startServer();
        second = await installation.startServer(secondPort);
        return;
    }
  }

  for (const victim of Array.from({ length: rounds }, () => victims).flat()) {
    const t0 = performance.now();
    await untilServed(load, [first, second]);
    log('served after', performance.now() - t0);
      await delay(randomInt(300));
    seen.push(await seeCheckpoint(first, vkey));
    const t1 = performance.now();await kill(victim);
 log(victim, performance.now() - t1, load.refusals.get('503 temporarily_unavailable'), load.broken(), load.acknowledged.length);  }
  await untilServed(load, [first, second]);
  await load.stop(); const e1=await first.stop(), e2=await second.stop(); const fs = await import('node:fs'); fs.writeFileSync('/tmp/chaos-first.log', e1.err); fs.writeFileSync('/tmp/chaos-second.log', e2.err);

  expect(kills).toBeGreaterThanOrEqual(2);
  // Whoever got an answer was told that it can't be done now, and nothing else.
  expect([...load.refusals.keys()].filter((refusal) => refusal !== "503 temporarily_unavailable")).toEqual(
    [],
  );
  const evidence = await exportLog(
    installation,
    vkey,
    Math.max(...load.acknowledged.map(({ index }) => index)) + 1,
  );
  expectRecorded(evidence, load.acknowledged);
  const last = await seeCheckpoint(first, vkey);
  for (const checkpoint of seen) expect(await continues(first, checkpoint, last)).toBe(true);
  console.info(
    load.acknowledged.length,
    load.refusals,
    load.broken(),
    seen.map(({ size }) => size),
  );
});

/** Waits until both servers are ready and the load gets tokens again. */
async function untilServed(
  load: { readonly acknowledged: readonly unknown[] },
  servers: readonly ServerProcess[],
): Promise<void> {
  let t=performance.now(); const words: Record<string,string> = {};
  await until(20_000, "readiness", async () => {
    const ready = await Promise.all(
      servers.map(({ url }) =>
        fetch(`${url}/readyz`).then(
          async (r) => { const b=await r.text(); if(!r.ok) { const w=url.slice(-5)+" "+JSON.parse(b).checks.filter((c:{ok:boolean})=>!c.ok).map((c:{name:string,reason:string})=>c.name+": "+c.reason).join("; "); if(words[url]!==w) log(Math.round(performance.now()), w); words[url]=w;} return r.ok; },
          () => false,
        ),
      ),
    );
    return ready.every(Boolean);
  });log("ready", performance.now()-t);
  const before = load.acknowledged.length;
  await until(20_000, "a token", () => load.acknowledged.length >= before + callers);
}

const log = (...a: unknown[]) => process.stderr.write(a.join(" ")+"\n");
