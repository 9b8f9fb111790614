import { randomBytes } from "node:crypto";
import { newId, type UserId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createAgent } from "../../src/journeys/agent/create.ts";
import { retireExpiredAgents } from "../../src/journeys/agent/retire-expired.ts";
import { setAgentStatus } from "../../src/journeys/agent/set-status.ts";
import { createUser } from "../../src/journeys/user/create.ts";
import type { AppendEntry } from "../../src/ledger/append.ts";
import { findAgent, listExpiredAgents } from "../../src/store/agents.ts";
import { barrierFor } from "../barrier.ts";
import { context, organization } from "./server-process.ts";
import {
  type AgentPrincipal,
  errorOf,
  openWorld,
  publicJwk,
  startAnotherProcess,
  type World,
} from "./world.ts";

let world: World;
let bob: UserId;
beforeAll(async () => {
  world = await openWorld();
  bob = await world.user("Bob");
});
afterAll(() => world.close());
beforeEach(() => {
  world.clock.nowMs += 2000;
});

describe("an agent that expires", () => {
  const lifetimeMs = 120_000;
  const expiring = () => world.agent(world.alice, world.operator, world.clock.nowMs + lifetimeMs);
  const retire = (deps = world.deps) =>
    retireExpiredAgents({ ...deps, listExpiredAgents: (before) => listExpiredAgents(world.db, before) });

  test("[AGT-006] has it in its entry, and none is made that is over from the start", async () => {
    const expiresAtMs = world.clock.nowMs + lifetimeMs;
    const agent = await world.agent(world.alice, world.operator, expiresAtMs);
    expect((await world.entries()).at(-1)).toMatchObject({
      type: "agent.created",
      target: { id: agent.id },
      detail: { expires_at: new Date(expiresAtMs).toISOString() },
    });
    const late = await errorOf(world.agent(world.alice, world.operator, world.clock.nowMs));
    expect(late.code).toBe("invalid_request");
  });

  test("[AGT-006] counts as inactive from that moment on, wherever authority is read, and so does all below it", async () => {
    const agent = await expiring();
    const below = await world.agent(world.alice);
    const root = await world.grant(world.alice, agent);
    const child = await world.passOn(agent, root, below);
    // Whatever is issued in its last minutes ends with it, also at a resource server that asks nobody.
    world.clock.nowMs += lifetimeMs - 60_000;
    const tokens = [
      (await world.exchange(agent, root)).claims,
      (await world.exchange(below, child)).claims,
      (await world.issue(agent)).claims,
    ];
    for (const { exp } of tokens) expect(exp * 1000).toBe(world.clock.nowMs + 60_000);
    const other = await world.agent(world.alice);
    world.clock.nowMs += 60_000;
    const refused = await Promise.all([
      errorOf(world.exchange(agent, root)),
      errorOf(world.exchange(below, child)),
      errorOf(world.passOn(agent, root, other)),
      errorOf(world.issue(agent)),
      errorOf(world.grant(world.alice, agent)),
    ]);
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(["subject_not_active"]));
    expect((await errorOf(world.transfer(agent, bob))).code).toBe("conflict");
    for (const claims of tokens) expect(await world.introspectClaims(world.mailbox, claims)).toBeUndefined();
  });

  test("[AGT-006] is retired a minute later, once, however many processes find it", async () => {
    const [active, suspended, lasting] = [await expiring(), await expiring(), await world.agent(world.alice)];
    await world.setStatus(suspended, "suspended");
    world.clock.nowMs += lifetimeMs + 59_000;
    await retire();
    expect((await findAgent(world.db, organization, active.id))?.status).toBe("active");
    world.clock.nowMs += 2000;
    const another = await startAnotherProcess(world);
    const before = (await world.entries()).length;
    await Promise.all([retire(), retire(another.deps)]);
    await another.close();
    const statuses = [active, suspended, lasting].map(
      async ({ id }) => (await findAgent(world.db, organization, id))?.status,
    );
    expect(await Promise.all(statuses)).toEqual(["retired", "retired", "active"]);
    const entries = (await world.entries()).slice(before);
    for (const [{ id }, from] of [
      [active, "active"],
      [suspended, "suspended"],
    ] as const) {
      expect(
        entries.filter(({ type, target }) => type === "agent.retired" && target?.id === id),
      ).toMatchObject([
        {
          actor: { kind: "system", id: "expiry" },
          owner: world.alice,
          cause: "expired",
          detail: { from, to: "retired" },
        },
      ]);
    }
  });
});

describe("an owner's end and an owner's change", () => {
  test("[USR-002] offboarding counts what it reached: theirs, what comes from them, and what goes through theirs", async () => {
    const carol = await world.user("Carol");
    const hers = await world.agent(carol);
    const through = await world.passOn(
      hers,
      await world.grant(world.alice, hers),
      await world.agent(world.alice),
    );
    await world.resource("https://carol.example", carol);
    const from = await world.grant(carol, await world.agent(bob), { resource: "https://carol.example" });
    await world.grant(world.alice, await world.agent(world.alice));
    const receipt = await world.offboard(carol);
    expect(receipt).toMatchObject({
      revoked: { kind: "user", id: carol },
      reach: { delegations: 3, agents: 3 },
      treeSize: receipt.ledger.index + 1,
    });
    expect([through, from]).toHaveLength(2);
    expect((await world.entries())[receipt.ledger.index]).toMatchObject({
      type: "user.offboarded",
      actor: { kind: "operator", id: world.operator.id },
      target: { kind: "user", id: carol },
    });
  });

  test("[AGT-003] a transfer is one entry with both owners, and what it answers is what is stored", async () => {
    const agent = await world.agent(world.alice);
    const { ledger, receipt, ...transferred } = await world.transfer(agent, bob);
    expect(await findAgent(world.db, organization, agent.id)).toEqual(transferred);
    expect(receipt).toMatchObject({ revoked: { kind: "agent", id: agent.id }, ledger });
    expect((await world.entries())[ledger.index]).toMatchObject({
      type: "agent.transferred",
      target: { kind: "agent", id: agent.id },
      owner: bob,
      detail: { from: world.alice, to: bob },
    });
  });

  test("[AGT-003] an offboarded owner's agent is saved by a transfer; what they granted stays over", async () => {
    const carol = await world.user("Carol");
    const hers = await world.agent(carol);
    await world.resource("https://carols.example", carol);
    const given = await world.grant(world.alice, hers);
    const own = await world.grant(carol, hers, { resource: "https://carols.example" });
    await world.offboard(carol);
    await world.transfer(hers, bob);
    world.clock.nowMs += 1000;
    await world.issue(hers);
    await world.consent(given);
    await world.exchange(hers, given);
    expect((await errorOf(world.consent(own))).code).toBe("subject_not_active");
  });

  test("[AGT-003] is refused to the same owner, of who is over or not there, and to whoever is no operator", async () => {
    const [agent, retired] = [await world.agent(world.alice), await world.agent(world.alice)];
    await world.setStatus(retired, "retired");
    const unknown = { ...agent, id: newId("agent", world.clock.nowMs, randomBytes(16)) };
    const foreign = await world.makeOrganization("transfers");
    const attempts: [AgentPrincipal, UserId, string, Parameters<World["transfer"]>[2]?][] = [
      [agent, world.alice, "conflict"],
      [retired, bob, "conflict"],
      [unknown, bob, "not_found"],
      [agent, newId("user", world.clock.nowMs, randomBytes(16)), "not_found"],
      [agent, bob, "not_authorized", agent],
      [agent, bob, "not_found", foreign],
      [agent, await world.user("Dora", foreign), "not_found"],
    ];
    for (const [of, to, code, caller] of attempts) {
      expect((await errorOf(world.transfer(of, to, caller))).code).toBe(code);
    }
    expect((await findAgent(world.db, organization, agent.id))?.owner).toBe(world.alice);
    expect((await errorOf(world.offboard(bob, agent))).code).toBe("not_authorized");
    expect((await errorOf(world.offboard(bob, foreign))).code).toBe("not_found");
  });

  test("[AGT-003] a suspended agent stays suspended under its new owner", async () => {
    const agent = await world.agent(world.alice);
    await world.setStatus(agent, "suspended");
    expect((await world.transfer(agent, bob)).status).toBe("suspended");
    expect((await errorOf(world.issue(agent))).code).toBe("subject_not_active");
    await world.setStatus(agent, "active");
    world.clock.nowMs += 1000;
    await world.issue(agent);
  });
});

describe("an id, once given", () => {
  /** Makes a User and an Agent whose ids come out the same each time: the clock stands, and the dice fall alike. */
  function makeAlike(dice: number, jwk = publicJwk()) {
    const deps = { ...world.deps, randomBytes: (size: number) => new Uint8Array(size).fill(dice) };
    const by = { caller: world.operator, name: "Again", context };
    return {
      user: () => createUser(deps, by),
      agent: () => createAgent(deps, { ...by, owner: world.alice, kind: "tool", publicJwk: jwk }),
    };
  }

  test("[AGT-005] is nobody else's, whether its bearer is active, suspended, retired or offboarded", async () => {
    const { user, agent } = makeAlike(7);
    const [{ id: userId }, made] = [await user(), await agent()];
    const bearer: AgentPrincipal = { kind: "agent", organization, id: made.id };
    const rows = async () => [
      await world.db.prisma.user.count({ where: { id: userId } }),
      await world.db.prisma.agent.findUniqueOrThrow({
        where: { id: made.id },
        select: { name: true, status: true },
      }),
    ];
    const changes = [
      async () => undefined,
      () => world.setStatus(bearer, "suspended"),
      () => world.setStatus(bearer, "retired"),
      () => world.offboard(userId),
    ];
    for (const change of changes) {
      await change();
      const before = await rows();
      // With a key that nobody has used: it is the id that is refused.
      expect((await errorOf(makeAlike(7).agent())).code).toBe("conflict");
      expect((await errorOf(user())).code).toBe("conflict");
      expect(await rows()).toEqual(before);
    }
  });

  test("[AGT-005] [AGT-001] nor does the key of a retired agent speak for a new one", async () => {
    const jwk = publicJwk();
    const first = await makeAlike(8, jwk).agent();
    await world.setStatus({ kind: "agent", organization, id: first.id }, "retired");
    expect((await errorOf(makeAlike(9, jwk).agent())).code).toBe("conflict");
  });
});

test("[AGT-002] of two resumes at once one is made, and the other is told that it was changed meanwhile", async () => {
  const agent = await world.agent(world.alice);
  await world.setStatus(agent, "suspended");
  // Both have read that it is suspended before either is committed.
  const barrier = barrierFor(2);
  const append: AppendEntry = async (...args) => barrier().then(() => world.deps.append(...args));
  const resume = () =>
    setAgentStatus(
      { ...world.deps, append },
      { caller: world.operator, agent: agent.id, status: "active", context },
    );
  const settled = await Promise.allSettled([resume(), resume()]);
  const refused = settled.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
  expect(refused).toMatchObject([{ code: "conflict", publicDetail: "it was changed meanwhile" }]);
  world.clock.nowMs += 2000;
  await world.issue(agent);
});
