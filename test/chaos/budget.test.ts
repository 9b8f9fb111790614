import { setTimeout as delay } from "node:timers/promises";
import { authorizeAction } from "@countersign/sdk/client/actions";
import type { Client } from "@countersign/sdk/client/client";
import { RefusedError, UnreachableError } from "@countersign/sdk/client/client-error";
import { createDelegation, revokeDelegation } from "@countersign/sdk/contract/delegations";
import type { LedgerEntry } from "@countersign/sdk/contract/ledger-entry";
import { expect, test } from "vitest";
import {
  depsFor,
  freePort,
  type Installation,
  makeInstallation,
  type Party,
  until,
  untilReady,
} from "../server.ts";
import { audience, castPlayers, scope, takeAway } from "./cast.ts";
import { exportLog, verifierKeyOf } from "./evidence.ts";

const calls = 1_500;
const share = 2;
// 1,000 in all. Those of the first wave leave enough for as many more as are waited for, however many of them are made.
const [firstWave, secondWave] = [400, 600] as const;

test("[BUD-004] [BUD-002] [FLT-001] 1,000 children at once over two servers that are killed get no more calls than there are, and none is lost", {
  timeout: 240_000,
}, async () => {
  const installation = await makeInstallation();
  const secondPort = await freePort();
  let first = await installation.startServer();
  let second = await installation.startServer(secondPort);
  const vkey = await verifierKeyOf(installation);
  const cast = await castPlayers(installation, first);
  const [manager, worker] = [await cast.createAgent("manager"), await cast.createAgent("worker")];
  const budget = { calls };
  const root = await delegate(cast.operator, { from_user: cast.alice, budget }, manager);
  const clients = [() => first, () => second].map((server) => installation.clientAt(server, manager));

  const made: string[] = [];
  const makeChild = async (client: Client) => {
    const child = await delegate(client, { parent: root, budget: { calls: share } }, worker);
    made.push(child);
  };
  // Not one after the other: in waves that go on while servers die.
  const wave = (length: number) =>
    Array.from({ length }, async (_, i) => {
      await delay(i * 8);
      const client = clients[i % 2];
      if (client !== undefined) await makeChild(client).catch(passOver);
    });
  const asked = wave(firstWave);
  await until("some children", () => made.length >= 150);
  await first.kill();
  first = await installation.startServer();
  asked.push(...wave(secondWave));
  const before = made.length;
  await until("more children", () => made.length >= before + 100);
  await second.kill();
  second = await installation.startServer(secondPort);
  await Promise.all(asked);
  await untilReady([first, second]);

  // Who got no answer may have got a child: the ledger knows.
  const created = (await exportLog(installation, vkey)).entries.filter(isChildOf(root));
  const recorded = new Set(created.map(({ delegation }) => delegation));
  expect(made.filter((child) => !recorded.has(child))).toEqual([]);
  expect(created.length * share).toBeLessThanOrEqual(calls);
  const act = (party: Party, delegation: string) => useUp(installation, first, party, delegation);
  expect(await act(manager, root)).toBe(calls - share * created.length);
  const [used, ended] = [made.slice(0, 10), made.slice(10, 20)];
  for (const child of used) expect(await act(worker, child)).toBe(share);
  for (const child of ended) await takeAway(cast.operator, revokeDelegation, child);
  // What was not used comes back, and can be used once.
  expect(await act(manager, root)).toBe(share * ended.length);
  const authorized = (await exportLog(installation, vkey)).entries.filter(
    ({ type }) => type === "action.authorized",
  );
  const left = share * (created.length - used.length - ended.length);
  expect(authorized).toHaveLength(calls - left);
});

/** Who grants, and how many calls. */
type Origin = ({ readonly from_user: string } | { readonly parent: string }) & {
  readonly budget: { readonly calls: number };
};

async function delegate(client: Client, origin: Origin, to: Party): Promise<string> {
  const isRoot = "from_user" in origin;
  const terms = { to_agent: to.id, resource: audience, scope: [scope], max_depth: isRoot ? 3 : 0 };
  const body = { ...origin, ...terms };
  return (await client.perform(createDelegation, { body, scope: isRoot ? "admin" : "delegate" })).id;
}

/**
 * What a server that dies, or a budget that is used up, does to a request. Of what was committed without an answer, the
 * repeat is told that it was done: whoever counts reads the log.
 */
function passOver(error: unknown): void {
  if (error instanceof UnreachableError) return;
  const passing = ["budget_exhausted", "conflict", "idempotency_key_in_use"];
  if (error instanceof RefusedError && (error.status === 503 || passing.includes(error.code))) return;
  throw error;
}

/** Authorizes actions until there is no yes any more, and says how many there were. */
async function useUp(
  installation: Installation,
  server: { readonly url: string },
  { clientId, key }: Party,
  delegation: string,
): Promise<number> {
  const client = installation.clientAt(server, { clientId, key });
  const { access_token } = await client.redeemDelegation({ delegation, resource: audience });
  const identity = { issuer: installation.issuer, clientId, key };
  const ask = () =>
    authorizeAction(depsFor(installation.issuer, server), identity, access_token, {
      action: "read",
      scope: [scope],
    });
  let count = 0;
  for (;;) {
    const answers = await Promise.all(Array.from({ length: 20 }, ask));
    const yes = answers.filter(({ decision }) => decision === "allow").length;
    count += yes;
    if (yes < answers.length) return count;
  }
}

function isChildOf(root: string): (entry: LedgerEntry) => boolean {
  return ({ type, path }) => type === "delegation.created" && path?.length === 2 && path[0] === root;
}
