import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { returnBudgets } from "../../src/journeys/delegation/return-budgets.ts";
import { hashOfClaims } from "../../src/journeys/token/prepared-token.ts";
import { listExpiredBudgets } from "../../src/store/delegations.ts";
import { errorOf, openWorld, startAnotherProcess, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());
beforeEach(() => world.main.hot.invalidateAll());

async function leftOf(delegation: string): Promise<number> {
  const { allowance, spent } = await world.db.prisma.budget.findUniqueOrThrow({
    where: { delegationId_unit: { delegationId: delegation, unit: "tokens" } },
  });
  return Number(allowance - spent);
}

const codeOf = (attempt: Promise<unknown>) => errorOf(attempt).then(({ code }) => code);

describe("a budget of tokens", () => {
  test("[BUD-001] admits as many tokens as it says, over two processes, and records the refusals", async () => {
    const agent = await world.agent(world.alice);
    const delegation = await world.grant(world.alice, agent, { budget: { tokens: 5 } });
    const other = await startAnotherProcess(world);
    const attempts = Array.from({ length: 20 }, (_, i) =>
      world.exchange(agent, delegation, {}, i % 2 ? other : world.main),
    );
    const results = await Promise.allSettled(attempts);
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(5);
    const entries = (await world.entries()).filter((entry) => entry.delegation === delegation);
    expect(entries.filter(({ type }) => type === "token.issued")).toHaveLength(5);
    expect(entries.filter(({ refusal }) => refusal?.code === "budget_exhausted")).toHaveLength(15);
    await other.sequencer.close();
  });

  test("[BUD-002] moves to children and is never more than the parent had", async () => {
    const [one, two] = [await world.agent(world.alice), await world.agent(world.alice)];
    const parent = await world.grant(world.alice, one, { budget: { tokens: 10 } });
    const children = await Promise.allSettled(
      Array.from({ length: 10 }, () => world.passOn(one, parent, two, { budget: { tokens: 3 } })),
    );
    expect(children.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
    expect(await leftOf(parent)).toBe(1);
    expect(await codeOf(world.passOn(one, parent, two))).toBe("scope_widening");
    expect(await codeOf(world.passOn(one, parent, two, { budget: { tokens: 11 } }))).toBe("scope_widening");
    await world.exchange(one, parent);
    expect(await codeOf(world.exchange(one, parent))).toBe("budget_exhausted");
  });

  test("[BUD-002] what a revoked child and those below it have not used goes back", async () => {
    const [one, two] = [await world.agent(world.alice), await world.agent(world.alice)];
    const parent = await world.grant(world.alice, one, { budget: { tokens: 10 } });
    const child = await world.passOn(one, parent, two, { budget: { tokens: 8 } });
    const grandchild = await world.passOn(two, child, one, { budget: { tokens: 4 } });
    await world.exchange(two, child);
    await world.exchange(one, grandchild);
    await world.revoke(child);
    expect(await Promise.all([parent, child, grandchild].map(leftOf))).toEqual([8, 0, 0]);
  });

  test("[BUD-002] what an expired child has not used goes back, once", async () => {
    const [one, two] = [await world.agent(world.alice), await world.agent(world.alice)];
    const parent = await world.grant(world.alice, one, { budget: { tokens: 10 } });
    const expiresAtMs = world.clock.nowMs + 60_000;
    const child = await world.passOn(one, parent, two, { budget: { tokens: 6 }, expiresAtMs });
    const deps = {
      ...world.deps,
      listExpiredBudgets: (before: Date) => listExpiredBudgets(world.db, before),
    };
    await returnBudgets(deps);
    expect(await Promise.all([parent, child].map(leftOf))).toEqual([4, 6]);
    world.clock.nowMs += 600_000;
    await Promise.all([returnBudgets(deps), returnBudgets(deps)]);
    expect(await Promise.all([parent, child].map(leftOf))).toEqual([10, 0]);
    expect(await codeOf(world.exchange(two, child))).toBe("invalid_delegation");
  });

  test("[BUD-003] what nothing counts yet is refused, not recorded as if it were kept", async () => {
    const agent = await world.agent(world.alice);
    expect(await codeOf(world.grant(world.alice, agent, { budget: { gold: 5 } }))).toBe("scope_widening");
  });
});

test("[TOK-010] [RAR-002] a token carries the authorization_details of its delegation, narrowed along the chain and by its request", async () => {
  const [one, two] = [await world.agent(world.alice), await world.agent(world.alice)];
  const tool = (prefix: string) => [
    { type: "tool_call", server: "files", tools: ["read_file"], arguments: { path: { prefix } } },
  ];
  const parent = await world.grant(world.alice, one, { authorizationDetails: tool("/data") });
  const child = await world.passOn(one, parent, two, { authorizationDetails: tool("/data/reports") });
  expect((await world.exchange(two, child)).claims.authorization_details).toEqual(tool("/data/reports"));
  const wider = world.passOn(one, parent, two, { authorizationDetails: tool("/database") });
  expect(await codeOf(wider)).toBe("scope_widening");

  const asked = { authorizationDetails: tool("/data/reports/2026") };
  const { claims, ledger } = await world.exchange(two, child, asked);
  expect(claims.authorization_details).toEqual(asked.authorizationDetails);
  expect((await world.entries())[ledger.index]?.claims_hash).toBe(hashOfClaims(claims));
  expect(await world.introspectClaims(world.mailbox, claims)).toEqual(claims);
  for (const [details, code] of [
    [tool("/data"), "scope_widening"],
    [tool("/data/reports/.."), "invalid_authorization_details"],
  ] as const) {
    expect(await codeOf(world.exchange(two, child, { authorizationDetails: details }))).toBe(code);
    const refusal = { code, reason: expect.stringMatching(/^authorization_details: /) };
    expect((await world.entries()).at(-1)).toMatchObject({ type: "token.refused", refusal });
  }
});
