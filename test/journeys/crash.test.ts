import type { UserId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { authorizeAction } from "../../src/journeys/action/authorize.ts";
import { reportAction } from "../../src/journeys/action/report.ts";
import { setAgentStatus } from "../../src/journeys/agent/set-status.ts";
import { stopAgent } from "../../src/journeys/agent/stop.ts";
import { transferAgent } from "../../src/journeys/agent/transfer.ts";
import { consentToDelegation } from "../../src/journeys/delegation/consent.ts";
import { narrowDelegation } from "../../src/journeys/delegation/narrow.ts";
import { revokeDelegation } from "../../src/journeys/delegation/revoke.ts";
import { offboardUser } from "../../src/journeys/user/offboard.ts";
import { type Acting, openActing } from "./acting.ts";
import { atEachAwait, type KeyedChange, openCrashes, unlessDead } from "./crashing.ts";
import { mail } from "./server-process.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
let acting: Acting;
let bob: UserId;
beforeAll(async () => {
  world = await openWorld();
  acting = openActing(world);
  bob = await world.user("Bob");
});
afterAll(() => world.close());

const depsOf = () => ({ ...acting.deps, ...world.deps });
type Change = KeyedChange<ReturnType<typeof depsOf>>;

const statusOf = async (table: "agent" | "user" | "delegation", id: string) => {
  const find = { where: { id }, select: { status: true } } as const;
  switch (table) {
    case "agent":
      return (await world.db.prisma.agent.findUniqueOrThrow(find)).status;
    case "user":
      return (await world.db.prisma.user.findUniqueOrThrow(find)).status;
    case "delegation":
      return (await world.db.prisma.delegation.findUniqueOrThrow(find)).status;
  }
};
const agentRow = (id: string) => world.db.prisma.agent.findUniqueOrThrow({ where: { id } });
const budgetsOf = (of: readonly string[]) =>
  world.db.prisma.budget.findMany({
    where: { delegationId: { in: [...of] } },
    orderBy: { delegationId: "asc" },
  });

async function budgeted() {
  const [one, two] = [await world.agent(world.alice), await world.agent(world.alice)];
  return { one, two, parent: await world.grant(world.alice, one, { budget: { tokens: 10 } }) };
}

const stops = { suspended: "agent.suspended", retired: "agent.retired" } as const;
const stop = async (status: keyof typeof stops): Promise<Change> => {
  const { id } = await world.agent(world.alice);
  return {
    caller: world.operator,
    types: [stops[status]],
    make: (deps, by) => stopAgent(deps, { caller: world.operator, agent: id, status, context: by }),
    rows: () => statusOf("agent", id),
  };
};

/** How each change is made ready. */
const changes: Readonly<Record<string, () => Promise<Change>>> = {
  suspend: () => stop("suspended"),
  retire: () => stop("retired"),
  resume: async () => {
    const agent = await world.agent(world.alice);
    await world.setStatus(agent, "suspended");
    const request = { caller: world.operator, agent: agent.id, status: "active" } as const;
    return {
      caller: world.operator,
      types: ["agent.resumed"],
      make: (deps, by) => setAgentStatus(deps, { ...request, context: by }),
      rows: () => statusOf("agent", agent.id),
    };
  },
  transfer: async () => {
    const { id } = await world.agent(world.alice);
    const request = { caller: world.operator, agent: id, owner: bob };
    return {
      caller: world.operator,
      types: ["agent.transferred"],
      make: (deps, by) => transferAgent(deps, { ...request, context: by }),
      rows: () => agentRow(id),
    };
  },
  consent: async () => {
    const agent = await world.agent(world.alice);
    const delegation = await world.grant(world.alice, agent);
    await world.transfer(agent, bob);
    return {
      caller: world.operator,
      types: ["delegation.consented"],
      make: (deps, by) => consentToDelegation(deps, { caller: world.operator, delegation, context: by }),
      rows: () => world.db.prisma.delegation.findUniqueOrThrow({ where: { id: delegation } }),
    };
  },
  offboard: async () => {
    const user = await world.user("Carol");
    await world.agent(user);
    return {
      caller: world.operator,
      types: ["user.offboarded"],
      make: (deps, by) => offboardUser(deps, { caller: world.operator, user, context: by }),
      rows: () => statusOf("user", user),
    };
  },
  "pass on": async () => {
    const { one, two, parent } = await budgeted();
    const terms = { toAgent: two.id, resource: mail, scope: ["mail.read"], budget: { tokens: 4 } };
    return {
      caller: one,
      types: ["delegation.created"],
      make: (deps, by) => narrowDelegation(deps, { caller: one, parent, terms, context: by }),
      rows: async () => [
        await world.db.prisma.delegation.count({ where: { parentId: parent } }),
        await budgetsOf([parent]),
      ],
    };
  },
  revoke: async () => {
    const { one, two, parent } = await budgeted();
    const delegation = await world.passOn(one, parent, two, { budget: { tokens: 4 } });
    return {
      caller: one,
      types: ["delegation.revoked"],
      make: (deps, by) => revokeDelegation(deps, { caller: one, delegation, context: by }),
      rows: async () => [await statusOf("delegation", delegation), await budgetsOf([parent, delegation])],
    };
  },
  report: async () => {
    const { agent, claims } = await granted();
    const { action } = await acting.allowed(agent, claims);
    const report = await acting.signReport(agent, acting.deed({ action_id: action }));
    return {
      caller: agent.principal,
      types: ["action.reported"],
      make: (deps, by) => reportAction(deps, { caller: agent.principal, report, context: by }),
      rows: () => acting.reportsOf(agent),
    };
  },
};

async function granted() {
  const agent = await acting.agent();
  const delegation = await world.grant(world.alice, agent.principal, { budget: { calls: 9 } });
  return { agent, delegation, claims: await acting.redeem(agent, delegation) };
}

describe("a process that dies at any await of", () => {
  test.each(Object.entries(changes))(
    "[FLT-001] [API-002] %s leaves entry and rows or neither, and makes it once, however often its key is sent",
    async (name, ready) => openCrashes(world, depsOf).sendToTheDying(ready, name),
  );

  test("[ACT-001] [BUD-004] an authorization spends a call for each yes in the ledger, and none without", async () => {
    const deaths = await atEachAwait(depsOf, async ({ deps, hasDied }, where) => {
      const { agent, delegation, claims } = await granted();
      const request = await acting.requestOf(agent, claims);
      const size = (await world.entries()).length;
      const asked = await unlessDead(authorizeAction(deps, request));
      // Nothing is read after the commit: whoever knows that it is committed has all of the answer.
      if (!hasDied()) expect(asked).toMatchObject({ decision: "allow", callsLeft: 8 });
      const yeses = (await world.entries()).slice(size).map(({ type }) => type);
      const rows = await world.db.prisma.action.count({ where: { delegationId: delegation } });
      const [budget] = await budgetsOf([delegation]);
      expect([yeses.length, Number(budget?.spent)], where).toEqual([rows, rows]);
      expect(await acting.allowed(agent, claims)).toMatchObject({ callsLeft: 8 - rows });
    });
    expect(deaths).toBeGreaterThan(2);
  });
});
