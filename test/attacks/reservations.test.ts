import { afterAll, beforeAll, expect, test } from "vitest";
import { readBudgetsLeft } from "../../src/store/budgets.ts";
import { type Acting, openActing } from "../journeys/acting.ts";
import { must, organization } from "../journeys/server-process.ts";
import { errorOf, nameOf, openWorld, startAnotherProcess, type World } from "../journeys/world.ts";

let world: World;
let acting: Acting;
beforeAll(async () => {
  world = await openWorld();
  acting = openActing(world);
});
afterAll(() => world.close());

async function armed(budget: Readonly<Record<string, number>>, resource?: string) {
  const agent = await acting.agent();
  const terms = { budget, ...(resource !== undefined && { resource }) };
  const delegation = await world.grant(world.alice, agent.principal, terms);
  return { agent, delegation, claims: await acting.redeem(agent, delegation) };
}
const leftOf = async (delegation: Awaited<ReturnType<typeof armed>>["delegation"]) =>
  must((await readBudgetsLeft(world.db, organization, [delegation])).get(delegation));
const euros = (amount: string, unit = "EUR") => ({ traits: { cost: { spend: { amount, unit } } } });

test("[BUD-022] asking at once, in two processes, for more than there is gets as much as there is", async () => {
  const { agent, delegation, claims } = await armed({ "spend:EUR": 1000 });
  const second = await startAnotherProcess(world);
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      acting.authorize(agent, claims, euros("3"), i % 2 ? second : world.main),
    ),
  );
  await second.close();
  expect(answers.filter(({ decision }) => decision === "allow")).toHaveLength(3);
  expect(await leftOf(delegation)).toEqual({ "spend:EUR": 100 });
});

test("[BUD-022] an agent spends uncounted neither by silence, nor in another currency, nor by a child's", async () => {
  const [{ agent, delegation, claims }, other] = [await armed({ "spend:EUR": 1000 }), await acting.agent()];
  for (const asked of [{}, { traits: { cost: { rows: 1 } } }, euros("1", "USD"), euros("1", "eur")]) {
    expect(await acting.authorize(agent, claims, asked)).toMatchObject({ code: "budget_exhausted" });
  }
  for (const budget of [{}, { "spend:USD": 1 }, { "spend:EUR": 1, "spend:USD": 1 }, { "spend:eur": 1 }]) {
    const passed = world.passOn(agent.principal, delegation, other.principal, { budget });
    expect((await errorOf(passed)).code).toBe("scope_widening");
  }
  expect(await leftOf(delegation)).toEqual({ "spend:EUR": 1000 });
});

test("[BUD-023] an agent that claims to have spent nothing is held to what the resource saw", async () => {
  const shopUri = "https://shop.example";
  const shop = await acting.resource(shopUri);
  const { agent, delegation, claims } = await armed({ "spend:EUR": 1000 }, shopUri);
  for (let bought = 1; bought <= 2; bought++) {
    const { action } = await acting.allowed(agent, claims, euros("5"));
    const deed = { action_id: action, resource: shopUri };
    await acting.report(agent, { ...deed, cost: { amount: "0", unit: "EUR" } });
    const seen = { ...deed, agent: nameOf(agent.principal), cost: { amount: "5", unit: "EUR" } };
    await acting.report(shop, seen);
    expect(await leftOf(delegation)).toEqual({ "spend:EUR": 1000 - bought * 500 });
  }
  expect(await acting.authorize(agent, claims, euros("5"))).toMatchObject({ code: "budget_exhausted" });
});
