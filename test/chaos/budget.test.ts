import { authorizeAction } from "@countersign/sdk/client/actions";
import type { Client } from "@countersign/sdk/client/client";
import { RefusedError, UnreachableError } from "@countersign/sdk/client/client-error";
import { createDelegation, revokeDelegation } from "@countersign/sdk/contract/delegations";
import type { LedgerEntry } from "@countersign/sdk/contract/ledger-entry";
import { expect, test } from "vitest";
import { depsFor, freePort, type Installation, makeInstallation, type Party, untilReady } from "../server.ts";
import { audience, castPlayers, scope, takeAway } from "./cast.ts";
import { exportLog, verifierKeyOf } from "./evidence.ts";

const calls = 1_500;
const share = 2;
// 1,000 in all.
const [bursts, burstLength] = [10, 100] as const;

test("[BUD-004] [BUD-002] [BUD-022] [FLT-001] 1,000 children, a hundred at once, over two servers that are killed get no more calls than there are, and none is lost", async () => {
  const installation = await makeInstallation();
  const secondPort = await freePort();
  let first = await installation.startServer();
  let second = await installation.startServer(secondPort);
  const vkey = await verifierKeyOf(installation);
  const cast = await castPlayers(installation, first);
  const [manager, worker] = [await cast.createAgent("manager"), await cast.createAgent("worker")];
  const budget = budgetOf(calls);
  const root = await delegate(cast.operator, { from_user: cast.alice, budget }, manager);
  const clients = [() => first, () => second].map((server) => installation.clientAt(server, manager));

  const made: string[] = [];
  const makeChild = async (client: Client) => {
    const child = await delegate(client, { parent: root, budget: budgetOf(share) }, worker);
    made.push(child);
  };
  /** Asks for a hundred at once; resolves `middle` when some have their answer, and `end` when all have. */
  const burst = () => {
    const middle = Promise.withResolvers<void>();
    let answers = 0;
    const ask = async (_: unknown, i: number) => {
      const client = clients[i % 2];
      if (client !== undefined) await makeChild(client).catch(passOver);
      if (++answers === burstLength / 4) middle.resolve();
    };
    const end = Promise.all(Array.from({ length: burstLength }, ask));
    return { middle: middle.promise, end, left: () => burstLength - answers };
  };
  for (let place = 1; place <= bursts; place++) {
    const { middle, end, left } = burst();
    await middle;
    // Its process is gone before anything else is answered here.
    const killed = place === 2 ? first.kill() : place === 6 ? second.kill() : undefined;
    if (killed !== undefined) expect(left()).toBeGreaterThan(burstLength / 2);
    await killed;
    if (place === 2) first = await installation.startServer();
    if (place === 6) second = await installation.startServer(secondPort);
    await end;
  }
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

/** Calls, and three cents for each. */
const budgetOf = (calls: number) => ({ calls, "spend:EUR": 3 * calls });

/** Who grants, and how many calls. */
type Origin = ({ readonly from_user: string } | { readonly parent: string }) & {
  readonly budget: ReturnType<typeof budgetOf>;
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
      cost: { spend: { amount: "0.03", unit: "EUR" } },
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
