import { execFileSync } from "node:child_process";
import { readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { RefusedError } from "@countersign/sdk/client/client-error";
import { revokeDelegation } from "@countersign/sdk/contract/delegations";
import { expect, test } from "vitest";
import { z } from "zod";
import { type Installation, makeInstallation, type ServerProcess, until, untilReady } from "../server.ts";
import { audience, castPlayers, scope, takeAway } from "./cast.ts";
import { continues, expectRecorded, exportLog, openNote, seeCheckpoint, verifierKeyOf } from "./evidence.ts";
import { acknowledgedBy } from "./load.ts";

const recoverySchema = z.object({
  report: z.looseObject({ state: z.literal("behind"), lost: z.object({ from: z.int(), to: z.int() }) }),
  index: z.int(),
  evidence: z.string(),
});

test("[FLT-005] on a database set back in time nothing is issued until an operator accepts the loss, and the fork stays provable", async () => {
  const installation = await makeInstallation();
  const postgres = join(installation.dataDir, "postgres");
  let server = await installation.startServer();
  const vkey = await verifierKeyOf(installation);
  const cast = await castPlayers(installation, server);
  const agent = await cast.createAgent("courier");
  const delegation = await cast.grant(agent);
  const redeem = () =>
    installation.clientAt(server, agent).redeemDelegation({ delegation, resource: audience, scope });
  const kept = acknowledgedBy(await redeem());
  expect(await server.stop()).toMatchObject({ code: 0 });
  execFileSync("cp", ["-a", postgres, `${postgres}.older`]);

  server = await installation.startServer();
  const lost = acknowledgedBy(await redeem());
  const revocation = await takeAway(await installation.operatorAt(server), revokeDelegation, delegation);
  await until("a checkpoint of the revocation", async () => {
    return (await seeCheckpoint(server, vkey)).size > revocation.index;
  });
  const newer = await seeCheckpoint(server, vkey);
  expect(await server.stop()).toMatchObject({ code: 0 });
  renameSync(postgres, `${postgres}.newer`);
  renameSync(`${postgres}.older`, postgres);

  server = await installation.startServer();
  await expectNothingIssued(server, redeem);
  expect(await server.stop()).toMatchObject({ code: 0 });

  const recovered = await recover(installation, "default");
  expect(recovered.report.lost.to).toBeGreaterThanOrEqual(newer.size);
  await recover(installation, "system");
  server = await installation.startServer();
  await untilReady([server]);
  const after = acknowledgedBy(await redeem());

  // Those who keep to the present tree are told where it went on, and what was lost is not in it.
  const evidence = await exportLog(installation, vkey);
  expect(evidence.recoveries).toEqual([recovered.index]);
  expect(evidence.entries[recovered.index]?.type).toBe("log.recovered");
  expectRecorded(evidence, [kept, after]);
  expect(evidence.entries.filter(({ jti }) => jti === lost.claims.jti)).toEqual([]);

  // Those who saw the other tree can prove that there were two: both are signed, and neither begins the other.
  const remembered = await openNote(readFileSync(recovered.evidence, "utf8"), vkey);
  expect(remembered.size).toBeGreaterThanOrEqual(newer.size);
  for (let issued = evidence.size; issued < remembered.size; issued++) await redeem();
  await until("a longer tree", async () => (await seeCheckpoint(server, vkey)).size >= remembered.size);
  const present = await seeCheckpoint(server, vkey);
  expect(await continues(server, newer, present)).toBe(false);
  expect(await continues(server, remembered, present)).toBe(false);
});

async function expectNothingIssued(server: ServerProcess, redeem: () => Promise<unknown>): Promise<void> {
  const ready = await fetch(`${server.url}/readyz`);
  expect(ready.status).toBe(503);
  const told = await ready.text();
  expect(JSON.parse(told)).toMatchObject({
    checks: [{}, {}, { name: "ledger", ok: false, reason: expect.stringContaining("ledger recover") }, {}],
  });
  // Whose log it is, a stranger does not learn.
  expect(told).not.toContain("default");
  const refusal = await redeem().catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(RefusedError);
  expect(refusal).toMatchObject({ status: 503, code: "temporarily_unavailable" });
}

/** As docs/operations.md says: first one is told what is lost, and then accepts it. */
async function recover(installation: Installation, log: string) {
  const told = await installation.run("ledger", "recover", "--log", log, "--json");
  expect(told.code).toBe(1);
  const { error } = z
    .object({ error: z.object({ code: z.literal("conflict"), detail: z.string() }) })
    .parse(JSON.parse(told.out));
  const root = /accept the root (\S+)$/.exec(error.detail)?.[1] ?? "";
  const done = await installation.run("ledger", "recover", "--log", log, "--accept", root, "--json");
  expect(done).toMatchObject({ code: 0 });
  return recoverySchema.parse(JSON.parse(done.out));
}
