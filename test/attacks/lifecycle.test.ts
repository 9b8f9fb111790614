import { parseId, type UserId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { AppendEntry } from "../../src/ledger/append.ts";
import { barrierFor } from "../barrier.ts";
import { must } from "../journeys/server-process.ts";
import { errorOf, openWorld, outcomeOf, startAnotherProcess, type World } from "../journeys/world.ts";

let world: World;
let bob: UserId;
beforeAll(async () => {
  world = await openWorld();
  bob = await world.user("Bob");
});
afterAll(() => world.close());
// Each test moves on from what was stopped in the second before it.
beforeEach(() => {
  world.clock.nowMs += 2000;
  world.main.hot.invalidateAll();
});

/** Three agents of Alice's; the middle one is handed to Bob. */
async function withMiddleTransferred() {
  const { agents, path } = await world.chain(world.alice, 3);
  const [first, middle, last] = agents;
  const [root, child, leaf] = path;
  if (!first || !middle || !last || !root || !child || !leaf) throw new Error("no chain");
  await world.transfer(middle, bob);
  return { first, middle, last, root, child, leaf };
}

function outcomesOf(journeys: readonly Promise<unknown>[]): Promise<readonly string[]> {
  return Promise.all(journeys.map((journey) => outcomeOf(journey)));
}

describe("an agent with another owner", () => {
  test("[AGT-004] redeems and passes on nothing that it was given before, and neither does anyone below", async () => {
    const { first, middle, last, root, child, leaf } = await withMiddleTransferred();
    const refused = await Promise.all([
      errorOf(world.exchange(middle, child)),
      errorOf(world.passOn(middle, child, last)),
      errorOf(world.exchange(last, leaf)),
      errorOf(world.passOn(last, leaf, last)),
    ]);
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(["invalid_delegation"]));
    // What comes before it on the path is not touched.
    await world.exchange(first, root);
  });

  test("[AGT-004] keeps no token alive that was issued before, to it or to anyone below it", async () => {
    const { agents, path } = await world.chain(world.alice, 3);
    const [, middle, last] = agents;
    const [, child, leaf] = path;
    if (!middle || !last || !child || !leaf) throw new Error("no chain");
    const before = [
      (await world.exchange(middle, child)).claims,
      (await world.exchange(last, leaf)).claims,
      (await world.issue(middle)).claims,
    ];
    for (const claims of before.slice(0, 2)) {
      expect(await world.introspectClaims(world.mailbox, claims)).toEqual(claims);
    }
    await world.transfer(middle, bob);
    world.clock.nowMs += 2000;
    const alive = async () => {
      const answers = before.flatMap((claims) =>
        [world.mailbox, middle, last].map((asking) => world.introspectClaims(asking, claims)),
      );
      return (await Promise.all(answers)).filter(Boolean);
    };
    expect(await alive()).toEqual([]);
    // Consent is to what comes, and gives no token back its life.
    await world.consent(child, agents[0]);
    expect(await alive()).toEqual([]);
    const anew = (await world.exchange(last, leaf)).claims;
    expect(await world.introspectClaims(world.mailbox, anew)).toEqual(anew);
  });

  test("[AGT-004] is not trusted again because it comes back: each transfer asks for a consent of its own", async () => {
    const { middle, child, first } = await withMiddleTransferred();
    await world.transfer(middle, world.alice);
    expect((await errorOf(world.exchange(middle, child))).code).toBe("invalid_delegation");
    await world.consent(child, first);
    world.clock.nowMs += 1000;
    await world.exchange(middle, child);
    // A cache that has missed it all still says what was true a transfer ago.
    const stale = await startAnotherProcess(world);
    await world.exchange(middle, child, {}, stale);
    await world.transfer(middle, bob);
    await world.transfer(middle, world.alice);
    const { code } = await errorOf(world.exchange(middle, child, {}, stale));
    expect(code).toBe("conflict");
    expect((await errorOf(world.exchange(middle, child, {}, stale))).code).toBe("invalid_delegation");
    await stale.close();
  });

  test("[AGT-004] speaks for itself under its new owner, and its entries name that one", async () => {
    const agent = await world.agent(world.alice);
    await world.issue(agent);
    await world.transfer(agent, bob);
    world.clock.nowMs += 1000;
    await world.issue(agent);
    expect((await world.entries()).at(-1)).toMatchObject({ type: "token.issued", owner: bob });
  });
});

describe("a transfer racing", () => {
  test("[AGT-004] [TOK-003] an exchange: nothing is issued behind it, by either of two processes", async () => {
    const another = await startAnotherProcess(world);
    const { agents, presenter, leaf } = await world.chain(world.alice, 3);
    const middle = agents[1] ?? presenter;
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
    // Some of the first burst are committed before the transfer is asked for.
    await exchanges[0];
    const transfer = world.transfer(middle, bob);
    burst();
    const { ledger } = await transfer;
    burst();
    const outcomes = await Promise.all(exchanges);
    await another.close();
    const issued = (await world.entries()).flatMap(({ type, delegation }, index) =>
      type === "token.issued" && delegation === leaf ? [index] : [],
    );
    expect(issued).toHaveLength(outcomes.filter((outcome) => outcome === "done").length + 2);
    expect(Math.max(...issued)).toBeLessThan(ledger.index);
    expect(outcomes.slice(-80)).not.toContain("done");
    const known = ["done", "conflict", "invalid_delegation"];
    expect(outcomes.filter((outcome) => !known.includes(outcome))).toEqual([]);
  });

  test("[AGT-004] another one: one of them is made, and the other told so", async () => {
    const agent = await world.agent(world.alice);
    const carol = await world.user("Carol");
    // Both have read whose it is before either is committed.
    const barrier = barrierFor(2);
    const append: AppendEntry = async (...args) => barrier().then(() => world.deps.append(...args));
    const held = { deps: { ...world.deps, append } };
    const outcomes = await outcomesOf(
      [bob, carol].map((owner) => world.transfer(agent, owner, world.operator, held)),
    );
    expect([...outcomes].sort()).toEqual(["conflict", "done"]);
  });

  test("[AGT-004] its consent: what was consented to under one owner does not hold under the next", async () => {
    const { first, middle, child } = await withMiddleTransferred();
    const carol = await world.user("Carol");
    const before = (await world.entries()).length;
    const settled = await outcomesOf([
      world.consent(child, first),
      world.consent(child, first),
      world.transfer(middle, carol),
      world.consent(child, first),
    ]);
    expect(settled[2]).toBe("done");
    const made = (await world.entries())
      .slice(before)
      .flatMap(({ type }) => (["delegation.consented", "agent.transferred"].includes(type) ? [type] : []));
    expect(made).toHaveLength(settled.filter((outcome) => outcome === "done").length);
    // One at most under each owner; the one that was asked for under Carol holds, and is over with her time.
    const transferred = made.indexOf("agent.transferred");
    const anew = made.length - 1 - transferred;
    expect([transferred, anew].filter((consents) => consents > 1)).toEqual([]);
    const outcome = await outcomeOf(world.exchange(middle, child));
    expect(outcome).toBe(anew === 1 ? "done" : "invalid_delegation");
    await world.transfer(middle, bob);
    expect((await errorOf(world.exchange(middle, child))).code).toBe("invalid_delegation");
  });

  test("[AGT-003] a grant to it: the grant holds under the owner it was made for, or is not made", async () => {
    const agent = await world.agent(world.alice);
    const grants = Array.from({ length: 10 }, () => world.grant(world.alice, agent));
    const transfer = world.transfer(agent, bob);
    grants.push(...Array.from({ length: 10 }, () => world.grant(world.alice, agent)));
    const [settled] = await Promise.all([Promise.allSettled(grants), transfer]);
    const made = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    const entries = await world.entries();
    const transferred = entries.findLastIndex(({ type }) => type === "agent.transferred");
    for (const id of made) {
      const given = entries.findIndex(
        (entry) => entry.type === "delegation.created" && entry.delegation === id,
      );
      const outcome = await outcomesOf([world.exchange(agent, id)]);
      expect(outcome).toEqual([given < transferred ? "invalid_delegation" : "done"]);
    }
  });
});

describe("consent", () => {
  test("[DEL-011] is the giver's alone: an operator's to a root, the grantor agent's to a child", async () => {
    const { first, middle, last, root, child } = await withMiddleTransferred();
    const stranger = await world.agent(bob);
    const foreign = await world.makeOrganization("lifecycle");
    const before = (await world.entries()).length;
    // Neither who holds it nor who stands below may, nor an operator, who asserts Users' wishes only.
    for (const caller of [middle, last, stranger, world.mailbox]) {
      expect((await errorOf(world.consent(child, caller))).code).toBe("not_found");
    }
    // Who sees it all the same is told whose it is.
    expect(await errorOf(world.consent(child, world.operator))).toMatchObject({
      code: "not_authorized",
      publicDetail: `${first.id} passed it on: it takes that agent's consent, under its own token`,
    });
    expect((await world.entries()).slice(before)).toMatchObject(
      Array(5).fill({ type: "delegation.refused", action: "delegation.consent", delegation: child }),
    );
    await world.transfer(first, bob);
    for (const caller of [first, middle]) {
      expect((await errorOf(world.consent(root, caller))).code).toBe("not_found");
    }
    // Another organization is told the same of it as of one that does not exist, in its own log.
    const mine = (await world.entries()).length;
    expect((await errorOf(world.consent(root, foreign))).code).toBe("not_found");
    expect(await world.entries()).toHaveLength(mine);
    await world.consent(root);
    await world.consent(child, first);
    world.clock.nowMs += 1000;
    await world.exchange(middle, child);
  });

  test("[DEL-011] gives no life to what is over, revoked, or rests above", async () => {
    const { agents, path } = await world.chain(world.alice, 2);
    const [first, second] = agents;
    const [root, child] = path;
    if (!first || !second || !root || !child) throw new Error("no chain");
    expect((await errorOf(world.consent(root))).code).toBe("conflict");
    await world.transfer(first, bob);
    await world.transfer(second, bob);
    // Its own delegation rests, so it has nothing to give.
    expect((await errorOf(world.consent(child, first))).code).toBe("invalid_delegation");
    await world.consent(root);
    await world.setStatus(second, "suspended");
    expect((await errorOf(world.consent(child, first))).code).toBe("subject_not_active");
    await world.setStatus(second, "active");
    await world.revoke(child);
    expect((await errorOf(world.consent(child, first))).code).toBe("invalid_delegation");
  });

  test("[DEL-011] asks the policy again, as the grant did", async () => {
    const carol = await world.user("Carol");
    const audience = "https://carols.example";
    const { id } = await world.resource(audience, carol);
    const agent = await world.agent(carol);
    const grant = await world.grant(carol, agent, { resource: audience });
    await world.transfer(agent, bob);
    // The mailbox is no longer hers to grant on.
    await world.db.prisma.resource.update({ where: { id }, data: { ownerId: bob } });
    expect((await errorOf(world.consent(grant))).code).toBe("not_authorized");
    expect((await world.entries()).at(-1)).toMatchObject({
      type: "delegation.refused",
      asserted_by: world.operator.id,
      decision: { effect: "deny", rule: "default-deny" },
    });
  });
});

describe("an offboarded owner", () => {
  test("[USR-001] leaves nothing alive that rests on them, and touches nothing else", async () => {
    const carol = await world.user("Carol");
    const hers = await world.agent(carol);
    const grant = await world.grant(world.alice, hers);
    const token = (await world.exchange(hers, grant)).claims;
    const other = await world.agent(world.alice);
    const untouched = await world.grant(world.alice, other);
    await world.offboard(carol);
    expect((await errorOf(world.exchange(hers, grant))).code).toBe("subject_not_active");
    expect((await errorOf(world.issue(hers))).code).toBe("subject_not_active");
    expect((await errorOf(world.grant(world.alice, hers))).code).toBe("subject_not_active");
    expect(await world.introspectClaims(world.mailbox, token)).toBeUndefined();
    await world.exchange(other, untouched);
    await world.issue(other);
  });

  test("[USR-001] [TOK-003] no token is issued behind the offboarding, by either of two processes", async () => {
    const another = await startAnotherProcess(world);
    const carol = await world.user("Carol");
    const agent = await world.agent(carol);
    const grant = await world.grant(world.alice, agent);
    const exchanges: Promise<string>[] = [];
    const burst = (at: Parameters<World["exchange"]>[3]) => {
      for (let i = 0; i < 30; i++) exchanges.push(outcomeOf(world.exchange(agent, grant, {}, at)));
    };
    await Promise.all([world.exchange(agent, grant), world.exchange(agent, grant, {}, another)]);
    burst(another);
    await exchanges[0];
    const offboarding = world.offboard(carol);
    burst(another);
    const { ledger } = await offboarding;
    burst(another);
    const outcomes = await Promise.all(exchanges);
    await another.close();
    const issued = (await world.entries()).flatMap(({ type, delegation }, index) =>
      type === "token.issued" && delegation === grant ? [index] : [],
    );
    expect(Math.max(...issued)).toBeLessThan(ledger.index);
    expect(outcomes.slice(-30)).not.toContain("done");
  });

  test("[USR-001] does not come back, and is given nothing", async () => {
    const carol = await world.user("Carol");
    const agent = await world.agent(world.alice);
    await world.offboard(carol);
    expect((await errorOf(world.offboard(carol))).code).toBe("conflict");
    expect((await errorOf(world.transfer(agent, carol))).code).toBe("subject_not_active");
    expect((await errorOf(world.agent(carol))).code).toBe("subject_not_active");
    expect((await errorOf(world.grant(carol, agent))).code).toBe("not_authorized");
  });
});

describe("an agent that is listed onward", () => {
  /** Alice lets her agent's tokens be redeemed by Bob's. */
  async function listed() {
    const [agent, tool] = [await world.agent(world.alice), await world.agent(bob)];
    const onward = [{ agent: tool.id, resource: world.mailboxAudience, scope: ["mail.read"] }];
    const delegation = await world.grant(world.alice, agent, { onward });
    return { agent, tool, onward, delegation };
  }
  const tokenOf = async ({ agent, delegation }: Awaited<ReturnType<typeof listed>>) =>
    (await world.exchange(agent, delegation)).claims;

  test("[AGT-004] redeems nothing once it has another owner, neither of old tokens nor of new ones", async () => {
    const list = await listed();
    const { tool } = list;
    const before = await tokenOf(list);
    const { claims } = await world.redeem(tool, before);
    await world.transfer(tool, world.alice);
    expect(await world.introspectClaims(world.mailbox, claims)).toBeUndefined();
    world.clock.nowMs += 2000;
    for (const token of [before, await tokenOf(list)]) {
      expect((await errorOf(world.redeem(tool, token))).code).toBe("actor_unauthorized");
    }
  });

  test("[AGT-004] is not listed anew by an agent that only passes on, and its redemption is nobody's to consent to", async () => {
    const list = await listed();
    const { agent, tool, onward, delegation } = list;
    await world.redeem(tool, await tokenOf(list));
    await world.transfer(tool, world.alice);
    world.clock.nowMs += 2000;
    const other = await world.agent(world.alice);
    const child = await world.passOn(agent, delegation, other, { onward });
    const { claims } = await world.exchange(other, child);
    expect((await errorOf(world.redeem(tool, claims))).code).toBe("actor_unauthorized");
    const { id } = await world.db.prisma.delegation.findFirstOrThrow({ where: { granteeAgentId: tool.id } });
    const redeemed = must(parseId("delegation", id));
    for (const caller of [agent, tool]) {
      expect((await errorOf(world.consent(redeemed, caller))).code).toBe("not_found");
    }
    expect((await errorOf(world.consent(redeemed, world.operator))).code).toBe("conflict");
    // Who has it to give gives it anew.
    const anew = { ...list, delegation: await world.grant(world.alice, agent, { onward }) };
    await world.redeem(tool, await tokenOf(anew));
  });

  test("[AGT-006] redeems nothing once its time is over", async () => {
    const agent = await world.agent(world.alice);
    const tool = await world.agent(bob, world.operator, world.clock.nowMs + 1000);
    const onward = [{ agent: tool.id, resource: world.mailboxAudience, scope: ["mail.read"] }];
    const delegation = await world.grant(world.alice, agent, { onward });
    const { claims } = await world.exchange(agent, delegation);
    world.clock.nowMs += 1000;
    expect((await errorOf(world.redeem(tool, claims))).code).toBe("subject_not_active");
  });
});
