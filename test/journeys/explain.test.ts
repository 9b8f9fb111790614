import { parseAudience } from "@countersign/sdk/model/audience";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ExplainDecisionRequest, explainDecision } from "../../src/journeys/policy/explain.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy } from "../../src/policy/snapshot.ts";
import { issuer, mail, must } from "./server-process.ts";
import { type AgentPrincipal, openWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());
beforeEach(() => {
  world.clock.nowMs += 2000;
});

const shipped = await readShippedPolicy();
const resource = must(parseAudience(mail));

async function explained(
  agent: AgentPrincipal,
  change: Partial<ExplainDecisionRequest> = {},
  ...lines: readonly string[]
) {
  const policy = [shipped.policy, ...lines].join("\n");
  const snapshot = await loadPolicy({ ...shipped, policy, issuer });
  const asked = { caller: world.operator, agent: agent.id, resource, scope: "mail.read" } as const;
  const deps = { ...world.deps, currentPolicy: () => snapshot };
  return explainDecision(deps, { ...asked, action: "token.exchange", ...change });
}

describe("what would be said to an agent, and why", () => {
  test("[POL-033] names the rule, the delegation, and where on its chain authority narrowed", async () => {
    const [first, second] = [await world.agent(world.alice), await world.agent(world.alice)];
    const root = await world.grant(world.alice, first, { budget: { tokens: 5 } });
    const child = await world.passOn(first, root, second, { budget: { tokens: 3 } });
    const { isGiven, explanation, chain, narrowed, obstacles } = await explained(second);
    expect({ isGiven, obstacles, leaf: chain?.leaf.delegation.id }).toEqual({
      isGiven: true,
      obstacles: [],
      leaf: child,
    });
    expect(explanation.decision).toMatchObject({ effect: "allow", rule: "agent-exchanges-delegated" });
    expect(narrowed).toEqual(
      expect.arrayContaining([
        { delegation: root, dimension: "budget", to: "5 tokens" },
        { delegation: child, dimension: "budget", from: "5 tokens", to: "3 tokens" },
        { delegation: child, dimension: "scope", from: "mail.read mail.send", to: "mail.read" },
      ]),
    );

    const beyond = await explained(second, { scope: "mail.send" });
    expect(beyond).toMatchObject({
      isGiven: false,
      explanation: { decision: { effect: "allow" } },
      obstacles: [`${child} does not have the scope mail.send`],
    });
  });

  test("[POL-033] and what stands in the way whatever policy says", async () => {
    const agent = await world.agent(world.alice);
    expect(await explained(agent)).toMatchObject({
      isGiven: false,
      chain: undefined,
      obstacles: [`it holds no delegation on ${mail}`],
    });
    const spent = await world.grant(world.alice, agent, { budget: { tokens: 1, calls: 1 } });
    await world.exchange(agent, spent);
    expect((await explained(agent)).obstacles).toEqual([`no tokens are left of the budget of ${spent}`]);
    expect(await explained(agent, { action: "action.authorize" })).toMatchObject({ isGiven: true });
    await world.revoke(spent);
    expect((await explained(agent, { delegation: spent })).obstacles).toContain(`${spent} is revoked`);
    await world.setStatus(agent, "suspended");
    expect((await explained(agent)).obstacles).toContain(`${agent.id} is suspended`);
  });

  test("[POL-034] and the nearest that would be allowed", async () => {
    const agent = await world.agent(world.alice);
    await world.grant(world.alice, agent);
    const deny = "p, no-sums, *, agent, *, *, *, *, action.amount>10, deny, sums are not for agents";
    const attributes = { "action.amount": 20 };
    const { explanation } = await explained(agent, { attributes }, deny);
    expect(explanation).toMatchObject({
      decision: { effect: "deny", rule: "no-sums" },
      against: [{ rule: "no-sums", when: [{ asks: "action.amount>10", has: "20", holds: "yes" }] }],
      without: { effect: "allow", rule: "agent-exchanges-delegated" },
    });
    const direct = await explained(agent, { action: "token.issue" });
    expect(direct).toMatchObject({ isGiven: false, explanation: { decision: { rule: "default-deny" } } });
    expect(direct.explanation.nearest[0]).toMatchObject({ would: { effect: "allow" } });
  });
});
