import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { releaseUnreported } from "../../src/journeys/action/release-unreported.ts";
import { returnBudgets } from "../../src/journeys/delegation/return-budgets.ts";
import { readBudgetsLeft } from "../../src/store/budgets.ts";
import { listExpiredBudgets } from "../../src/store/delegations.ts";
import { listUnreported } from "../../src/store/reservations.ts";
import { type Acting, openActing, type Signer } from "./acting.ts";
import { mail, must, organization } from "./server-process.ts";
import { errorOf, nameOf, openWorld, startAnotherProcess, type World } from "./world.ts";

let world: World;
let acting: Acting;
let shop: Signer;
const shopUri = "https://shop.example";
beforeAll(async () => {
  world = await openWorld();
  acting = openActing(world);
  shop = await acting.resource(shopUri);
});
afterAll(() => world.close());

async function armed(budget: Readonly<Record<string, number>>, resource = mail) {
  const agent = await acting.agent();
  const delegation = await world.grant(world.alice, agent.principal, { budget, resource });
  return { agent, delegation, claims: await acting.redeem(agent, delegation) };
}
const leftOf = async (delegation: Awaited<ReturnType<typeof armed>>["delegation"]) =>
  must((await readBudgetsLeft(world.db, organization, [delegation])).get(delegation));
const euros = (amount: string, rows?: number) => ({
  traits: { cost: { spend: { amount, unit: "EUR" }, ...(rows !== undefined && { rows }) } },
});
const told = (amount: string) => ({ cost: { amount, unit: "EUR" } });
const last = async () => must((await world.entries()).at(-1));
const releaseDeps = () => ({
  ...world.deps,
  reserveForMs: 900_000,
  listUnreported: (before: Date) => listUnreported(world.db, before),
});

describe("[BUD-022] what an action may cost", () => {
  test("is reserved with the yes, and what it did not cost is free again with its report", async () => {
    const { agent, delegation, claims } = await armed({ "spend:EUR": 2000, rows: 50, calls: 5 });
    const { action } = await acting.allowed(agent, claims, euros("12.50", 10));
    expect((await last()).detail).toMatchObject({ reserved: ["spend:EUR 1250", "rows 10"] });
    expect(await leftOf(delegation)).toEqual({ "spend:EUR": 750, rows: 40, calls: 4 });
    const { over } = await acting.report(agent, { action_id: action, ...told("4.005"), rows: 3 });
    expect(over).toEqual([]);
    // Half a cent is a cent.
    expect(await leftOf(delegation)).toEqual({ "spend:EUR": 1599, rows: 47, calls: 4 });
  });

  test("counts as a whole where its report does not say what it was, or says it of something else", async () => {
    for (const more of [{}, { cost: { amount: "1", unit: "USD" } }]) {
      const { agent, delegation, claims } = await armed({ "spend:EUR": 2000, rows: 50 });
      const { action } = await acting.allowed(agent, claims, euros("5", 10));
      await acting.report(agent, { action_id: action, ...more });
      expect(await leftOf(delegation)).toEqual({ "spend:EUR": 1500, rows: 40 });
    }
  });

  test("is a no where less is left, in any unit, and nothing is reserved then", async () => {
    const { agent, delegation, claims } = await armed({ "spend:EUR": 1000, rows: 5 });
    const over = [euros("10.01", 1), euros("1", 6)];
    for (const asked of over) {
      expect(await acting.authorize(agent, claims, asked)).toMatchObject({ code: "budget_exhausted" });
    }
    expect(await leftOf(delegation)).toEqual({ "spend:EUR": 1000, rows: 5 });
    await acting.allowed(agent, claims, euros("10", 5));
    expect(await leftOf(delegation)).toEqual({ "spend:EUR": 0, rows: 0 });
  });

  test("must be said where the delegation limits it, in a currency that it may spend", async () => {
    const { agent, delegation, claims } = await armed({ "spend:EUR": 1000, rows: 5 });
    const unsaid = [
      {},
      { traits: { cost: { rows: 1 } } },
      euros("1"),
      { traits: { cost: { spend: { amount: "1", unit: "USD" }, rows: 1 } } },
    ];
    for (const asked of unsaid) {
      expect(await acting.authorize(agent, claims, asked)).toMatchObject({
        decision: "deny",
        code: "budget_exhausted",
      });
    }
    expect(await leftOf(delegation)).toEqual({ "spend:EUR": 1000, rows: 5 });
    const free = await armed({ calls: 1 });
    await acting.allowed(free.agent, free.claims, euros("1000000", 1_000_000));
  });

  test("is moved to children, and never in a currency that the parent may not spend", async () => {
    const [{ agent, delegation }, other] = [await armed({ "spend:EUR": 1000 }), await acting.agent()];
    const passOn = (budget: Readonly<Record<string, number>>) =>
      world.passOn(agent.principal, delegation, other.principal, { budget });
    await passOn({ "spend:EUR": 600 });
    expect(await leftOf(delegation)).toEqual({ "spend:EUR": 400 });
    expect((await errorOf(passOn({ "spend:EUR": 401 }))).code).toBe("budget_exhausted");
    for (const wider of [{}, { "spend:EUR": 1001 }, { "spend:EUR": 1, "spend:USD": 1 }]) {
      expect((await errorOf(passOn(wider))).code).toBe("scope_widening");
    }
  });
});

describe("[BUD-023] what an action cost beyond what was reserved", () => {
  test("is told, recorded, and spent as far as there is any left", async () => {
    const { agent, delegation, claims } = await armed({ "spend:EUR": 1000 });
    const { action } = await acting.allowed(agent, claims, euros("5"));
    const signed = await acting.signReport(agent, acting.deed({ action_id: action, ...told("17") }));
    const over = [{ unit: "spend:EUR", amount: 1200 }];
    expect(await acting.send(agent.principal, signed)).toMatchObject({ standing: "as_granted", over });
    expect((await last()).detail).toMatchObject({ over: ["spend:EUR 1200"] });
    expect(await leftOf(delegation)).toEqual({ "spend:EUR": 0 });
    const entries = (await world.entries()).length;
    expect(await acting.send(agent.principal, signed)).toMatchObject({ over });
    expect((await world.entries()).length).toBe(entries);
  });

  test("is what the witness saw, if that is more than the agent claims, whoever comes first", async () => {
    for (const order of [
      ["claim", "witness"],
      ["witness", "claim"],
    ]) {
      const { agent, delegation, claims } = await armed({ "spend:EUR": 1000 }, shopUri);
      const { action } = await acting.allowed(agent, claims, euros("5"));
      const deed = { action_id: action, resource: shopUri };
      for (const who of order) {
        if (who === "claim") await acting.report(agent, { ...deed, ...told("0") });
        else await acting.report(shop, { ...deed, agent: nameOf(agent.principal), ...told("4") });
      }
      expect(await leftOf(delegation)).toEqual({ "spend:EUR": 600 });
    }
  });

  test("no report of another, of another action, or of none gives anything back", async () => {
    const { agent, delegation, claims } = await armed({ "spend:EUR": 1000 });
    const { action } = await acting.allowed(agent, claims, euros("5"));
    const stranger = await acting.agent();
    await acting.report(stranger, { action_id: action, ...told("0") });
    // At another resource than its own.
    const seen = { action_id: action, resource: shopUri, agent: nameOf(agent.principal), ...told("0") };
    await acting.report(shop, seen);
    await acting.report(agent, told("0"));
    expect(await leftOf(delegation)).toEqual({ "spend:EUR": 500 });
    await acting.report(agent, { action_id: action, ...told("1") });
    const again = acting.report(agent, { action_id: action, ...told("0") });
    expect((await errorOf(again)).code).toBe("conflict");
    expect(await leftOf(delegation)).toEqual({ "spend:EUR": 900 });
  });
});

describe("[BUD-024] what was reserved for an action that nobody reports", () => {
  const age = (ms: number) => {
    world.clock.nowMs += ms;
  };

  test("stays so for a while, is released once by several processes at once, and a late report counts again", async () => {
    const { agent, delegation, claims } = await armed({ "spend:EUR": 1000, rows: 5 });
    const { action } = await acting.allowed(agent, claims, euros("5", 2));
    age(899_000);
    await releaseUnreported(releaseDeps());
    expect(await leftOf(delegation)).toEqual({ "spend:EUR": 500, rows: 3 });
    age(2_000);
    const other = await startAnotherProcess(world);
    await Promise.all([
      releaseUnreported(releaseDeps()),
      releaseUnreported({ ...releaseDeps(), append: other.deps.append }),
    ]);
    await other.close();
    expect(await leftOf(delegation)).toEqual({ "spend:EUR": 1000, rows: 5 });
    const returned = (await world.entries()).filter(
      ({ type, detail }) => type === "budget.returned" && detail?.["action_id"] === action,
    );
    expect(returned).toMatchObject([
      { cause: "unreported", delegation, detail: { released: ["rows 2", "spend:EUR 500"] } },
    ]);
    await acting.report(agent, { action_id: action, ...told("3") });
    expect(await leftOf(delegation)).toEqual({ "spend:EUR": 700, rows: 3 });
    await releaseUnreported(releaseDeps());
    expect(await leftOf(delegation)).toEqual({ "spend:EUR": 700, rows: 3 });
  });

  test("goes back to the parent of a delegation that has ended by then, once", async () => {
    const [{ agent, delegation }, worker] = [await armed({ "spend:EUR": 1000 }), await acting.agent()];
    const child = await world.passOn(agent.principal, delegation, worker.principal, {
      budget: { "spend:EUR": 600 },
    });
    await acting.allowed(worker, await acting.redeem(worker, child), euros("5"));
    await world.revoke(child);
    expect(await leftOf(delegation)).toEqual({ "spend:EUR": 500 });
    age(4_000_000);
    const deps = {
      ...world.deps,
      listExpiredBudgets: (before: Date) => listExpiredBudgets(world.db, before),
    };
    await returnBudgets(deps);
    await releaseUnreported(releaseDeps());
    await returnBudgets(deps);
    await returnBudgets(deps);
    expect(await leftOf(delegation)).toEqual({ "spend:EUR": 1000 });
    expect(await leftOf(child)).toEqual({ "spend:EUR": 0 });
  });
});

test("[BUD-022] asked, reported and released at once, in two processes, nothing is created or lost", async () => {
  const { agent, delegation, claims } = await armed({ "spend:EUR": 1000 });
  const second = await startAnotherProcess(world);
  const run = async (i: number): Promise<number> => {
    const process = i % 2 ? second : world.main;
    const answer = await acting.authorize(agent, claims, euros("0.30"), process);
    if (answer.decision !== "allow") return 0;
    if (i % 3 === 0) return 30;
    const signed = await acting.signReport(agent, acting.deed({ action_id: answer.action, ...told("0.10") }));
    await acting.send(agent.principal, signed, process);
    return 10;
  };
  const used = (await Promise.all(Array.from({ length: 90 }, (_, i) => run(i)))).reduce((a, b) => a + b, 0);
  await second.close();
  expect((await leftOf(delegation))["spend:EUR"]).toBe(1000 - used);
  const rows = await world.db.prisma.reservation.findMany({ where: { delegationId: delegation } });
  expect(rows.reduce((sum, { counted }) => sum + Number(counted), 0)).toBe(used);
});
