import { authorizeAction, signActionReport } from "@countersign/sdk/client/actions";
import { RefusedError, UnreachableError } from "@countersign/sdk/client/client-error";
import { reportAction } from "@countersign/sdk/contract/actions";
import { createDelegation, getDelegation } from "@countersign/sdk/contract/delegations";
import { expect, test } from "vitest";
import { depsFor, freePort, makeInstallation, untilReady } from "../server.ts";
import { audience, castPlayers, scope } from "./cast.ts";
import { exportLog, verifierKeyOf } from "./evidence.ts";

const allowance = 10_000;
const asked = 240;
/** Of each, in cents: what it may cost, and what it did where it is reported. */
const [reserved, used] = [100, 40] as const;

test("[BUD-022] [FLT-001] while two servers are killed in turn, what actions may cost and what they did is counted once, to the cent", async () => {
  const installation = await makeInstallation();
  const secondPort = await freePort();
  let first = await installation.startServer();
  let second = await installation.startServer(secondPort);
  const vkey = await verifierKeyOf(installation);
  const cast = await castPlayers(installation, first);
  const agent = await cast.createAgent("buyer");
  const body = {
    ...{ from_user: cast.alice, to_agent: agent.id, resource: audience, scope: [scope] },
    budget: { "spend:EUR": allowance },
  };
  const { id } = await cast.operator.perform(createDelegation, { body });
  const places = [() => first, () => second] as const;
  const identity = { issuer: installation.issuer, clientId: agent.clientId, key: agent.key };

  const act = async (place: number) => {
    const at = { url: places[place % 2 === 0 ? 0 : 1]().url };
    const client = installation.clientAt(at, agent);
    const { access_token } = await client.redeemDelegation({ delegation: id, resource: audience });
    const deed = { action: "buy", scope: [scope] };
    const cost = { spend: { amount: "1.00", unit: "EUR" } };
    const deps = depsFor(installation.issuer, at);
    const answer = await authorizeAction(deps, identity, access_token, { ...deed, cost });
    if (answer.decision !== "allow" || place % 3 === 0) return;
    const time = new Date().toISOString();
    const report = await signActionReport(deps, identity, {
      ...{ ...deed, action_id: answer.action_id, resource: audience, outcome: "succeeded" },
      ...{ started_at: time, ended_at: time, cost: { amount: "0.40", unit: "EUR" } },
    });
    await client.perform(reportAction, { body: { report } });
  };
  for (const end of ["first", "second", "none"] as const) {
    const middle = Promise.withResolvers<void>();
    let answers = 0;
    const all = Promise.all(
      Array.from({ length: asked / 3 }, async (_, place) => {
        await act(place).catch(passOver);
        if (++answers === 10) middle.resolve();
      }),
    );
    await middle.promise;
    if (end === "first") await first.kill();
    if (end === "second") await second.kill();
    if (end === "first") first = await installation.startServer();
    if (end === "second") second = await installation.startServer(secondPort);
    await all;
  }
  await untilReady([first, second]);

  const { entries } = await exportLog(installation, vkey);
  const authorized = entries.filter(({ type }) => type === "action.authorized").map(actionOf);
  const reported = new Set(entries.filter(({ type }) => type === "action.reported").map(actionOf));
  expect(authorized.length).toBeGreaterThan(asked / 6);
  expect(reported.size).toBeGreaterThan(10);
  const counted = authorized.map((action) => (reported.has(action) ? used : reserved));
  const { budget_left } = await cast.operator.perform(getDelegation, { params: { id } });
  expect(budget_left).toEqual({ "spend:EUR": allowance - counted.reduce((sum, cents) => sum + cents, 0) });
});

function actionOf({ detail }: { readonly detail?: Readonly<Record<string, unknown>> | undefined }): unknown {
  return detail?.["action_id"];
}

/** What a server that dies, or a budget that is used up for a while, does to a request. */
function passOver(error: unknown): void {
  if (error instanceof UnreachableError) return;
  if (error instanceof RefusedError && (error.status === 503 || error.code === "conflict")) return;
  throw error;
}
