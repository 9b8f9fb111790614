import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { strictProfile } from "../../src/domain/client.ts";
import { setAgentStatus } from "../../src/journeys/agent/set-status.ts";
import { setClient } from "../../src/journeys/client/set.ts";
import { type KeyedRequest, keyLifetimeMs, onceWrite } from "../../src/journeys/idempotency/repeats.ts";
import { type Seen, stillAs } from "../../src/journeys/record/still-as.ts";
import { createUser } from "../../src/journeys/user/create.ts";
import { readAgentRecord } from "../../src/store/agents.ts";
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
  const seen = { on: "agent", id: agent.id, status: "active", tenure: 1, stoppedAtMs: undefined } as const;
  const demands = {
    writes: [onceWrite(world.deps, keyed("stale"))],
    conditions: [stillAs({ ...seen, status: "suspended" })],
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
  const still = { ...demands, conditions: [stillAs(seen)] };
  const { ledger } = await setAgentStatus(world.deps, { ...retire, context: { ...context, demands: still } });
  expect(await findIdempotencyKey(world.db, keyed("stale"))).toMatchObject(ledger);
});

describe("[API-004] a commit sees every change since the thing was read", () => {
  const demanding = (seen: Seen) => ({
    ...context,
    demands: { writes: [], conditions: [stillAs(seen)] },
  });
  const changed = { code: "precondition_failed" };

  test("that an agent was transferred, or stopped and resumed", async () => {
    const { id, organization } = await world.agent(world.alice);
    const by = { caller: world.operator, agent: id };
    const seen = { on: "agent", id, status: "active", tenure: 1, stoppedAtMs: undefined } as const;
    const suspend = (as: Seen) =>
      setAgentStatus(world.deps, { ...by, status: "suspended", context: demanding(as) });
    await expect(suspend({ ...seen, tenure: 2 })).rejects.toMatchObject(changed);
    await suspend(seen);
    await setAgentStatus(world.deps, { ...by, status: "active", context });
    const { stoppedAtMs = 0 } = await readAgentRecord(world.db, organization, id, world.clock.nowMs);
    await expect(suspend(seen)).rejects.toMatchObject(changed);
    await expect(suspend({ ...seen, stoppedAtMs: stoppedAtMs - 1 })).rejects.toMatchObject(changed);
    await suspend({ ...seen, stoppedAtMs });
  });

  test("that a client was set, also where both stand in one queue", async () => {
    const { id } = await world.agent(world.alice);
    const client = { kind: "agent", organization: world.operator.organization, id } as const;
    const { secretVerifier: _, ...profile } = strictProfile;
    const set = (profileIndex?: number) => {
      const seen = { on: "client", principal: client, ...(profileIndex && { profileIndex }) } as const;
      return setClient(world.deps, { caller: world.operator, client, profile, context: demanding(seen) });
    };
    const outcomes = await Promise.allSettled([set(), set(), set()]);
    const made = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    expect(made).toHaveLength(1);
    await expect(set()).rejects.toMatchObject(changed);
    await set(made[0]?.ledger.index);
    await expect(set(made[0]?.ledger.index)).rejects.toMatchObject(changed);
  });
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
