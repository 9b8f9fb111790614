import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { stopAgent } from "../../src/journeys/agent/stop.ts";
import { context } from "../journeys/server-process.ts";
import { errorOf, openWorld, outcomeOf, startAnotherProcess, type World } from "../journeys/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());
beforeEach(() => world.main.hot.invalidateAll());

function outcomesOf(journeys: readonly Promise<unknown>[]): Promise<readonly string[]> {
  return Promise.all(journeys.map((journey) => outcomeOf(journey)));
}

describe("a chain that rests on something ended", () => {
  test.each([1, 2, 3, 4, 5])(
    "[DEL-005] revoking the ancestor at depth %i of 5 ends everything below",
    async (depth) => {
      const { agents, path } = await world.chain(world.alice, 5);
      const tried = async () =>
        outcomesOf(agents.map((agent, hop) => world.exchange(agent, path[hop] ?? "")));
      expect(await tried()).toEqual(Array(5).fill("done"));
      const revoked = path[depth - 1];
      if (revoked === undefined) throw new Error("no such hop");
      const receipt = await world.revoke(revoked);
      expect(receipt.reach).toEqual({ delegations: 5 - depth, agents: 5 - depth });
      expect(receipt.treeSize).toBe(receipt.ledger.index + 1);
      const expected = path.map((_, hop) => (hop < depth - 1 ? "done" : "invalid_delegation"));
      expect(await tried()).toEqual(expected);
      const below = agents
        .slice(depth - 1)
        .map((agent, i) => world.passOn(agent, path[depth - 1 + i] ?? revoked, agent));
      expect(new Set(await outcomesOf(below))).toEqual(new Set(["invalid_delegation"]));
    },
  );

  test("[DEL-005] a delegation is revoked once; the second time is told so and recorded", async () => {
    const { leaf } = await world.chain(world.alice, 1);
    const outcomes = await outcomesOf([world.revoke(leaf), world.revoke(leaf), world.revoke(leaf)]);
    // Who comes second learns it when it reads, or when it commits.
    const told = outcomes.map((outcome) => (outcome === "conflict" ? "invalid_delegation" : outcome));
    expect(told.sort()).toEqual(["done", "invalid_delegation", "invalid_delegation"]);
    expect((await errorOf(world.revoke(leaf))).code).toBe("conflict");
  });

  test("[DEL-005] an agent revokes what was made below its own delegation, and nothing else", async () => {
    const { agents, path } = await world.chain(world.alice, 3);
    const [first, second, third] = agents;
    const [root, , leaf] = path;
    if (!first || !second || !third || !root || !leaf) throw new Error("no chain");
    for (const caller of [third, world.mailbox, await world.agent(world.alice)]) {
      expect((await errorOf(world.revoke(leaf, caller))).code).toBe("not_found");
    }
    expect((await errorOf(world.revoke(root, first))).code).toBe("not_found");
    const { ledger } = await world.revoke(leaf, second);
    expect((await world.entries())[ledger.index]).toMatchObject({
      type: "delegation.revoked",
      actor: { kind: "agent", id: second.id },
      agent: second.id,
      target: { kind: "agent", id: third.id },
    });
    expect((await errorOf(world.exchange(third, leaf))).code).toBe("invalid_delegation");
  });

  test.each([1, 2, 3])(
    "[DEL-006] with the agent at hop %i of 3 suspended nothing through it is issued",
    async (hop) => {
      const { agents, path, presenter, leaf } = await world.chain(world.alice, 3);
      const agent = agents[hop - 1];
      if (agent === undefined) throw new Error("no such hop");
      await world.exchange(presenter, leaf);
      await world.setStatus(agent, "suspended");
      expect((await errorOf(world.exchange(presenter, leaf))).code).toBe("subject_not_active");
      expect((await errorOf(world.passOn(presenter, leaf, presenter))).code).toBe("subject_not_active");
      if (hop > 1) await world.exchange(agents[0] ?? presenter, path[0] ?? leaf);
      await world.setStatus(agent, "active");
      world.clock.nowMs += 1000;
      await world.exchange(presenter, leaf);
    },
  );

  test("[DEL-006] with an owner on the path offboarded nothing through their agent is issued", async () => {
    const bob = await world.user("Bob");
    const [first, second] = [await world.agent(bob), await world.agent(world.alice)];
    const child = await world.passOn(first, await world.grant(world.alice, first), second);
    await world.exchange(second, child);
    await world.offboard(bob);
    expect((await errorOf(world.exchange(second, child))).code).toBe("subject_not_active");
  });

  test("[AGT-002] a retired agent is retired for good, and everything through it is over", async () => {
    const { agents, presenter, leaf } = await world.chain(world.alice, 2);
    const [first] = agents;
    if (first === undefined) throw new Error("no chain");
    const { receipt } = await stopAgent(world.deps, {
      caller: world.operator,
      agent: first.id,
      status: "retired",
      context,
    });
    const { revoked, treeSize, ledger, reach } = receipt;
    expect([revoked, treeSize, reach]).toEqual([
      { kind: "agent", id: first.id },
      ledger.index + 1,
      { delegations: 2, agents: 1 },
    ]);
    for (const status of ["active", "suspended", "retired"] as const) {
      expect((await errorOf(world.setStatus(first, status))).code).toBe("conflict");
    }
    expect((await errorOf(world.exchange(presenter, leaf))).code).toBe("subject_not_active");
    expect((await errorOf(world.grant(world.alice, first))).code).toBe("subject_not_active");
  });
});

describe("revocation racing exchange", () => {
  test.each(["the root", "an agent on the path"])(
    "[TOK-003] no token is issued behind the revocation of %s, by either of two processes",
    async (what) => {
      const another = await startAnotherProcess(world);
      const { agents, path, presenter, leaf } = await world.chain(world.alice, 3);
      const [root, agent] = [path[0] ?? leaf, agents[1] ?? presenter];
      const exchanges: Promise<string>[] = [];
      const burst = () => {
        for (let i = 0; i < 40; i++) {
          for (const at of [world.main, another]) {
            exchanges.push(outcomeOf(world.exchange(presenter, leaf, {}, at)));
          }
        }
      };
      await Promise.all([world.exchange(presenter, leaf), world.exchange(presenter, leaf, {}, another)]);
      burst();
      await new Promise((resolve) => setTimeout(resolve, 3));
      const revocation = what === "the root" ? world.revoke(root) : world.setStatus(agent, "retired");
      burst();
      const { ledger } = await revocation;
      burst();
      const outcomes = await Promise.all(exchanges);
      await another.close();
      const issued = (await world.entries()).flatMap(({ type, delegation }, index) =>
        type === "token.issued" && delegation === leaf ? [index] : [],
      );
      expect(issued).toHaveLength(outcomes.filter((outcome) => outcome === "done").length + 2);
      expect(Math.max(...issued)).toBeLessThan(ledger.index);
      expect(outcomes.slice(-80)).not.toContain("done");
    },
  );

  test("[DEL-005] no child is made behind the revocation of its parent", async () => {
    const { presenter, leaf } = await world.chain(world.alice, 1);
    const made = Array.from({ length: 30 }, () => world.passOn(presenter, leaf, presenter));
    const revocation = world.revoke(leaf);
    made.push(...Array.from({ length: 30 }, () => world.passOn(presenter, leaf, presenter)));
    const outcomes = await outcomesOf(made);
    const { ledger, reach } = await revocation;
    const children = (await world.entries()).flatMap(({ type, path }, index) =>
      type === "delegation.created" && path?.[0] === leaf && path.length === 2 ? [index] : [],
    );
    expect(children.every((index) => index < ledger.index)).toBe(true);
    expect(children).toHaveLength(outcomes.filter((outcome) => outcome === "done").length);
    expect(reach.delegations).toBe(children.length);
  });
});

test("[TOK-006] to resume an agent gives no token back its life that was issued before it was suspended", async () => {
  const { agents, leaf, presenter } = await world.chain(world.alice, 2);
  const grantor = agents[0];
  if (grantor === undefined) throw new Error("no such hop");
  for (const stopped of [grantor, presenter]) {
    const stolen = (await world.exchange(presenter, leaf)).claims;
    const own = (await world.issue(stopped)).claims;
    await world.setStatus(stopped, "suspended");
    await world.setStatus(stopped, "active");
    expect(await world.introspectClaims(world.mailbox, stolen)).toBeUndefined();
    expect(await world.introspectClaims(stopped, own)).toBeUndefined();
    world.clock.nowMs += 2000;
    const anew = (await world.exchange(presenter, leaf)).claims;
    expect(await world.introspectClaims(world.mailbox, anew)).toEqual(anew);
  }
});
