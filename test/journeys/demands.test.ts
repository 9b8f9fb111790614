import { afterAll, beforeAll, expect, test } from "vitest";
import { setAgentStatus } from "../../src/journeys/agent/set-status.ts";
import { type KeyedRequest, keyLifetimeMs, onceWrite } from "../../src/journeys/idempotency/repeats.ts";
import { stillAs } from "../../src/journeys/record/still-as.ts";
import { createUser } from "../../src/journeys/user/create.ts";
import { findIdempotencyKey, forgetExpiredIdempotencyKeys } from "../../src/store/idempotency-keys.ts";
import { listUsers } from "../../src/store/users.ts";
import { context } from "./server-process.ts";
import { openWorld, startAnotherProcess, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const keyed = (key: string): KeyedRequest => ({
  organization: world.operator.organization,
  principal: world.operator.id,
  key,
  requestHash: "hash",
  keepsAnswer: true,
});

test("[API-004] a change between comparison and commit is seen by the commit: nothing is done, and the refusal is recorded", async () => {
  const agent = await world.agent(world.alice);
  const demands = {
    writes: [onceWrite(world.deps, keyed("stale"))],
    conditions: stillAs(agent.id, "suspended"),
  };
  const retire = { caller: world.operator, agent: agent.id, status: "retired" } as const;
  const retired = setAgentStatus(world.deps, { ...retire, context: { ...context, demands } });
  await expect(retired).rejects.toMatchObject({ code: "precondition_failed" });
  expect((await world.entries()).at(-1)).toMatchObject({
    type: "mutation.refused",
    target: { id: agent.id },
    refusal: { code: "precondition_failed" },
  });
  expect(await findIdempotencyKey(world.db, keyed("stale"))).toBeUndefined();
  const still = { ...demands, conditions: stillAs(agent.id, "active") };
  const { ledger } = await setAgentStatus(world.deps, { ...retire, context: { ...context, demands: still } });
  expect(await findIdempotencyKey(world.db, keyed("stale"))).toMatchObject(ledger);
});

test("an inactive delegation is an active one of which something above ended; what has no status demands none", () => {
  const id = "dlg_01arz3ndektsv4rrffq69g5fav";
  expect(stillAs(id, "inactive")).toEqual([{ on: "delegation", id, status: ["active"] }]);
  expect(stillAs(id, "revoked")).toEqual([{ on: "delegation", id, status: ["revoked"] }]);
  expect(stillAs("tok_01arz3ndektsv4rrffq69g5fav", "active")).toEqual([]);
  expect(stillAs("anything", "active")).toEqual([]);
});

test("[API-002] of commits in two processes that bear one key exactly one is made", async () => {
  const other = await startAnotherProcess(world);
  for (let round = 0; round < 10; round++) {
    const demands = { writes: [onceWrite(world.deps, keyed(`round-${round}`))], conditions: [] };
    const request = { caller: world.operator, name: `User ${round}`, context: { ...context, demands } };
    const outcomes = await Promise.allSettled(
      [world.deps, other.deps, world.deps, other.deps].map((deps) => createUser(deps, request)),
    );
    const refused = outcomes.filter((outcome) => outcome.status === "rejected");
    expect(refused.map(({ reason }) => reason.code)).toEqual(Array(3).fill("idempotency_key_in_use"));
  }
  const names = (
    await listUsers(world.db, world.operator.organization, { after: undefined, limit: 100 })
  ).map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  // Who lost a race with itself is accused of nothing.
  expect((await world.entries()).filter(({ refusal }) => refusal?.code === "conflict")).toEqual([]);
  await other.close();
});

test("[API-003] a key of another organization or principal is not found", async () => {
  const demands = { writes: [onceWrite(world.deps, keyed("mine"))], conditions: [] };
  await createUser(world.deps, { caller: world.operator, name: "Mine", context: { ...context, demands } });
  expect(await findIdempotencyKey(world.db, keyed("mine"))).toBeDefined();
  const stranger = await world.makeOrganization("elsewhere");
  const { organization } = stranger;
  expect(await findIdempotencyKey(world.db, { ...keyed("mine"), organization })).toBeUndefined();
  expect(await findIdempotencyKey(world.db, { ...keyed("mine"), principal: stranger.id })).toBeUndefined();
});

test("a key is forgotten when its day is over, and not before", async () => {
  const demands = { writes: [onceWrite(world.deps, keyed("day"))], conditions: [] };
  await createUser(world.deps, { caller: world.operator, name: "Day", context: { ...context, demands } });
  const end = world.clock.nowMs + keyLifetimeMs;
  await forgetExpiredIdempotencyKeys(world.db, new Date(end));
  expect(await findIdempotencyKey(world.db, keyed("day"))).toBeDefined();
  await forgetExpiredIdempotencyKeys(world.db, new Date(end + 1));
  expect(await findIdempotencyKey(world.db, keyed("day"))).toBeUndefined();
});
