import { logOf } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type AgentStanding, standingOf } from "../../src/domain/agent.ts";
import { type AccessPage, explainAccess } from "../../src/journeys/agent/access.ts";
import { addAgentEntries, readAgentHistory } from "../../src/store/agent-entries.ts";
import { listAgents, readAgentRecord } from "../../src/store/agents.ts";
import { listDelegationChains } from "../../src/store/delegations.ts";
import { findCursor, listFollowerBatches } from "../../src/store/follower-cursors.ts";
import { must, organization } from "./server-process.ts";
import { type AgentPrincipal, errorOf, openWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());
beforeEach(() => {
  world.clock.nowMs += 2000;
});

describe("which agents, and whose", () => {
  test("[REG-001] are found by owner, kind and what their status comes to, page by page", async () => {
    const carol = await world.user("Carol");
    const { nowMs } = world.clock;
    const [lasting, expiring, suspended, retired] = [
      await world.agent(carol),
      await world.agent(carol, world.operator, nowMs + 1000),
      await world.agent(carol),
      await world.agent(carol),
    ];
    await world.setStatus(suspended, "suspended");
    await world.setStatus(retired, "retired");
    const dora = await world.user("Dora");
    const orphan = await world.agent(dora);
    await world.offboard(dora);
    world.clock.nowMs += 1000;
    const atMs = world.clock.nowMs;
    const idsOf = async (filter: Omit<Parameters<typeof listAgents>[2], "limit">) =>
      (await listAgents(world.db, organization, { limit: 50, ...filter })).map(({ id }) => id);
    const by = (is: AgentStanding) => idsOf({ standing: { is, atMs }, owner: carol });
    expect(await idsOf({ owner: carol })).toEqual(
      [lasting, expiring, suspended, retired].map(({ id }) => id).sort(),
    );
    expect(await by("active")).toEqual([lasting.id]);
    expect(await by("inactive")).toEqual([expiring.id]);
    expect(await by("suspended")).toEqual([suspended.id]);
    expect(await by("retired")).toEqual([retired.id]);
    expect(await idsOf({ standing: { is: "inactive", atMs } })).toEqual([expiring.id, orphan.id].sort());
    expect(await idsOf({ kind: "tool" })).toEqual([]);

    // What the query filters by is what is told of each.
    const all = await listAgents(world.db, organization, { limit: 200 });
    for (const agent of all) {
      const found = await idsOf({ standing: { is: standingOf(agent, atMs).standing, atMs } });
      expect(found).toContain(agent.id);
    }
    const reasons = all.filter(({ id }) => id === expiring.id || id === orphan.id);
    expect(reasons.map((agent) => standingOf(agent, atMs).reason).sort()).toEqual(
      [`${expiring.id} has expired`, `${dora} is offboarded`].sort(),
    );

    const pages: string[] = [];
    for (let after: string | undefined; ; after = pages.at(-1)) {
      const page = await listAgents(world.db, organization, { limit: 2, after, owner: carol });
      pages.push(...page.map(({ id }) => id));
      if (page.length < 2) break;
    }
    expect(pages).toEqual(await idsOf({ owner: carol }));
  });

  test("[REG-001] each with its keys, its last stop and its delegations that last", async () => {
    const { agents, path } = await world.chain(world.alice, 2);
    const [first] = agents;
    const [root] = path;
    if (!first || !root) throw new Error("no chain");
    await world.grant(world.alice, first, { expiresAtMs: world.clock.nowMs + 1000 });
    await world.revoke(await world.grant(world.alice, first));
    world.clock.nowMs += 1000;
    const read = () => readAgentRecord(world.db, organization, first.id, world.clock.nowMs);
    const { thumbprint } = await world.db.prisma.credential.findFirstOrThrow({
      where: { principalId: first.id },
    });
    expect(await read()).toEqual({ thumbprints: [thumbprint], stoppedAtMs: undefined, held: 1, given: 1 });
    await world.transfer(first, await world.user("Bob"));
    expect(await read()).toMatchObject({ stoppedAtMs: world.clock.nowMs });
    const parties = await listDelegationChains(world.db, organization, { limit: 50, party: first.id });
    expect(parties).toHaveLength(4);
  });
});

describe("what an agent may do and why", () => {
  const explain = (agent: AgentPrincipal, page: { after?: string; limit?: number } = {}) =>
    explainAccess(world.deps, {
      caller: world.operator,
      agent: agent.id,
      after: page.after,
      limit: page.limit ?? 50,
    });
  const delegationsOf = ({ items }: AccessPage) =>
    items.flatMap((one) => (one.by === "delegation" ? [one.chain.leaf.delegation.id] : []));

  test("[REG-002] names the chain, what is left of the budget, and the rule, as the exchange would", async () => {
    const [first, second] = [await world.agent(world.alice), await world.agent(world.alice)];
    const root = await world.grant(world.alice, first, { budget: { tokens: 5 } });
    const child = await world.passOn(first, root, second, { budget: { tokens: 3 } });
    await world.exchange(second, child);
    const [access, direct, ...more] = (await explain(second)).items;
    if (access?.by !== "delegation" || direct?.by !== "policy")
      throw new Error("other access than was given");
    expect(access.chain.hops.map(({ delegation }) => delegation.id)).toEqual([root, child]);
    expect(access.budgetLeft).toEqual({ tokens: 2 });
    const issued = (await world.entries()).findLast(({ type }) => type === "token.issued");
    expect(access.scopes).toMatchObject([
      {
        scope: "mail.read",
        decision: { effect: "allow", rule: issued?.decision?.rule },
        acting: { effect: "allow", rule: "agent-acts-delegated" },
      },
    ]);
    // The default policy lets every agent ask this server to narrow its delegations and take its reports, and gives it nothing else.
    expect(direct).toMatchObject({
      resource: { audience: "https://id.example/v1" },
      scopes: [
        { scope: "delegate", decision: { effect: "allow", rule: "agent-delegates" } },
        { scope: "report", decision: { effect: "allow", rule: "agent-reports" } },
      ],
    });
    expect(more).toEqual([]);
  });

  test("[REG-002] leaves out what is revoked, over, or rests, and all of it where the agent is not active", async () => {
    const agent = await world.agent(world.alice);
    const [live, revoked] = [await world.grant(world.alice, agent), await world.grant(world.alice, agent)];
    await world.grant(world.alice, agent, { expiresAtMs: world.clock.nowMs + 1000 });
    await world.revoke(revoked);
    world.clock.nowMs += 1000;
    expect(delegationsOf(await explain(agent))).toEqual([live]);
    await world.transfer(agent, await world.user("Bob"));
    expect(delegationsOf(await explain(agent))).toEqual([]);
    await world.consent(live);
    expect(delegationsOf(await explain(agent))).toEqual([live]);
    await world.setStatus(agent, "suspended");
    expect((await explain(agent)).items).toEqual([]);
  });

  test("[REG-002] tells of what the policy denies that it is denied, and by which rule", async () => {
    const agent = await world.agent(world.alice);
    await world.grant(world.alice, agent);
    const deny = {
      effect: "deny",
      rule: "no-mail",
      reason: "not today",
      policy: "p",
      obligations: [],
    } as const;
    const page = await explainAccess(
      { ...world.deps, decide: () => deny },
      { caller: world.operator, agent: agent.id, after: undefined, limit: 50 },
    );
    expect(page.items).toMatchObject([
      { by: "delegation", scopes: [{ decision: deny }, { decision: deny }] },
    ]);
  });

  test("[REG-002] comes page by page, each thing once, and to another organization not at all", async () => {
    const agent = await world.agent(world.alice);
    const granted = [];
    for (let i = 0; i < 5; i++) granted.push(await world.grant(world.alice, agent));
    await world.revoke(must(granted[1]));
    const seen: AccessPage["items"][number][] = [];
    let pages = 0;
    for (let after: string | undefined; pages === 0 || after !== undefined; pages++) {
      const page: AccessPage = await explain(agent, { limit: 2, ...(after && { after }) });
      seen.push(...page.items);
      after = page.next;
    }
    expect(seen.map(({ by }) => by)).toEqual([...Array(4).fill("delegation"), "policy"]);
    expect(
      new Set(seen.map((one) => (one.by === "delegation" ? one.chain.leaf.delegation.id : one.by))).size,
    ).toBe(5);
    const foreign = await world.makeOrganization("registry");
    const asked = { caller: foreign, agent: agent.id, after: undefined, limit: 50 };
    expect((await errorOf(explainAccess(world.deps, asked))).code).toBe("not_found");
  });
});

describe("what an agent did", () => {
  /** As the publisher leaves a log: every entry so far under a checkpoint. */
  const publish = () => world.db.prisma.$executeRaw`UPDATE log SET published_size = next_index`;
  const log = logOf(organization);
  /** Lets the follower go as far as it can. */
  const catchUp = async () => {
    for (;;) {
      const batches = await listFollowerBatches(world.db, "agent-history", 10);
      if (batches.length === 0) return;
      for (const batch of batches) await addAgentEntries(world.db, batch);
    }
  };
  const historyOf = (agent: AgentPrincipal, page: { before?: number; limit: number } = { limit: 200 }) =>
    readAgentHistory(world.db, log, agent.id, page);

  test("[REG-003] is each entry in which it acted, newest first, none twice, as of the last checkpoint", async () => {
    const { agents, leaf, presenter } = await world.chain(world.alice, 2);
    for (let i = 0; i < 7; i++) await world.exchange(presenter, leaf);
    await errorOf(world.exchange(presenter, "nonsense"));
    await world.setStatus(presenter, "suspended");
    await publish();
    await catchUp();
    const expected = (await world.entries())
      .flatMap((entry, index) => (entry.agent === presenter.id ? [index] : []))
      .reverse();
    const { entries, asOf } = await historyOf(presenter);
    expect(entries.map(({ index }) => index)).toEqual(expected);
    expect(expected).toHaveLength(8);
    expect(asOf).toBe((await world.entries()).length);
    for (const { index, entry } of entries) expect(JSON.parse(entry)).toEqual((await world.entries())[index]);

    const paged: number[] = [];
    for (let before: number | undefined; ; before = paged.at(-1)) {
      const page = await historyOf(presenter, { limit: 3, ...(before !== undefined && { before }) });
      paged.push(...page.entries.map(({ index }) => index));
      if (page.entries.length < 3) break;
    }
    expect(paged).toEqual(expected);

    // What has no checkpoint yet is not told of.
    await world.exchange(agents[0] ?? presenter, await world.grant(world.alice, agents[0] ?? presenter));
    await catchUp();
    expect((await historyOf(presenter)).asOf).toBe(asOf);
  });

  test("[REG-003] is the same whoever follows the log, and however many do at once", async () => {
    const { leaf, presenter } = await world.chain(world.alice, 1);
    const issued = await Promise.all(Array.from({ length: 40 }, () => world.exchange(presenter, leaf)));
    await publish();
    await Promise.all(Array.from({ length: 6 }, catchUp));
    expect((await historyOf(presenter)).entries).toHaveLength(40);
    const followed = await findCursor(world.db, "agent-history", log);
    expect(followed).toBe(Math.max(...issued.map(({ ledger }) => ledger.index)) + 1);
  });

  test("[REG-003] is found by its index: neither the log nor another agent's entries are read for it", async () => {
    const { leaf, presenter } = await world.chain(world.alice, 1);
    await world.exchange(presenter, leaf);
    await publish();
    await catchUp();
    const rows = await world.db.prisma.$transaction(async (tx) => {
      await tx.$executeRaw`SET LOCAL enable_seqscan = off`;
      return tx.$queryRaw<{ "QUERY PLAN": string }[]>`
        EXPLAIN SELECT e.index FROM agent_entry a JOIN ledger_entry e ON e.log_id = a.log_id AND e.index = a.index
        WHERE a.agent_id = ${presenter.id} AND a.log_id = ${log} AND a.index < 1000000
        ORDER BY a.index DESC LIMIT 50`;
    });
    const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
    expect(plan).toMatch(/Index Only Scan Backward using agent_entry_pkey/);
    expect(plan).not.toMatch(/Seq Scan|Sort/);
  });
});
