import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { authorizeAction } from "@countersign/sdk/client/actions";
import { RefusedError, UnreachableError } from "@countersign/sdk/client/client-error";
import { expect, test } from "vitest";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { depsFor, freePort, makeInstallation, untilReady } from "../server.ts";
import { audience, castPlayers, scope } from "./cast.ts";
import { exportLog, verifierKeyOf } from "./evidence.ts";

const times = 20;

test("[BUD-025] [FLT-001] what may be done twenty times an hour is done twenty times, at two servers of which one is killed", async () => {
  const installation = await makeInstallation();
  const first = await installation.startServer();
  const vkey = await verifierKeyOf(installation);
  const cast = await castPlayers(installation, first);
  const agent = await cast.createAgent("hasty");
  const delegation = await cast.grant(agent);
  const path = join(installation.dataDir, "policy.csv");
  const line = `p, slowly, *, agent, *, *, action.authorize, *, *, rate:${times}/3600s, not too fast`;
  writeFileSync(path, `${(await readShippedPolicy()).policy}\n${line}`);
  expect((await installation.run("policy", "apply", path)).code).toBe(0);
  const secondPort = await freePort();
  let second = await installation.startServer(secondPort);

  const client = installation.clientAt(first, agent);
  const { access_token } = await client.redeemDelegation({ delegation, resource: audience });
  const identity = { issuer: installation.issuer, clientId: agent.clientId, key: agent.key };
  const ask = (url: string) =>
    authorizeAction(depsFor(installation.issuer, { url }), identity, access_token, {
      action: "read",
      scope: [scope],
    });
  // Fewer than are allowed are answered when it dies, of those that it was asked for.
  const asked = Array.from({ length: times }, (_, i) => ask(i % 2 ? second.url : first.url).catch(passOver));
  await Promise.race(asked);
  await second.kill();
  await Promise.all(asked);
  second = await installation.startServer(secondPort);
  await untilReady([first, second]);

  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, i) => ask(i % 2 ? second.url : first.url)),
  );
  const refused = answers.filter(({ decision }) => decision === "deny");
  expect(refused.length).toBeGreaterThan(0);
  for (const no of refused) expect(no).toMatchObject({ code: "too_many_requests", retry_after: 3600 });
  const { entries } = await exportLog(installation, vkey);
  expect(entries.filter(({ type }) => type === "action.authorized")).toHaveLength(times);
});

function passOver(error: unknown): void {
  if (error instanceof UnreachableError) return;
  if (error instanceof RefusedError && error.status === 503) return;
  throw error;
}
