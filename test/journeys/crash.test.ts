import type { LedgerEntryType } from "@countersign/sdk/contract/ledger-entry";
import type { UserId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { authorizeAction } from "../../src/journeys/action/authorize.ts";
import { reportAction } from "../../src/journeys/action/report.ts";
import { setAgentStatus } from "../../src/journeys/agent/set-status.ts";
import { stopAgent } from "../../src/journeys/agent/stop.ts";
import { transferAgent } from "../../src/journeys/agent/transfer.ts";
import { consentToDelegation } from "../../src/journeys/delegation/consent.ts";
import { narrowDelegation } from "../../src/journeys/delegation/narrow.ts";
import { revokeDelegation } from "../../src/journeys/delegation/revoke.ts";
import { keepAnswer, onceWrite, recallAnswer } from "../../src/journeys/idempotency/repeats.ts";
import type { RequestContext } from "../../src/journeys/record/record.ts";
import { offboardUser } from "../../src/journeys/user/offboard.ts";
import { addAnswer, findIdempotencyKey } from "../../src/store/idempotency-keys.ts";
import { type Acting, openActing } from "./acting.ts";
import { context, mail, organization } from "./server-process.ts";
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

const depsOf = () => ({
  ...acting.deps,
  ...world.deps,
  findIdempotencyKey: (name: Parameters<typeof findIdempotencyKey>[1]) => findIdempotencyKey(world.db, name),
  addAnswer: (...given: [Parameters<typeof addAnswer>[1], Parameters<typeof addAnswer>[2]]) =>
    addAnswer(world.db, ...given),
});
type Deps = ReturnType<typeof depsOf>;

/** One change, ready to be made, on things that nobody else uses. */
interface Change {
  readonly caller: Principal;
  readonly type: LedgerEntryType;
  make(deps: Deps, context: RequestContext): Promise<unknown>;
  /** The rows that stand or fall with its entry. */
  rows(): Promise<unknown>;
}

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
    type: stops[status],
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
      type: "agent.resumed",
      make: (deps, by) => setAgentStatus(deps, { ...request, context: by }),
      rows: () => statusOf("agent", agent.id),
    };
  },
  transfer: async () => {
    const { id } = await world.agent(world.alice);
    const request = { caller: world.operator, agent: id, owner: bob };
    return {
      caller: world.operator,
      type: "agent.transferred",
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
      type: "delegation.consented",
      make: (deps, by) => consentToDelegation(deps, { caller: world.operator, delegation, context: by }),
      rows: () => world.db.prisma.delegation.findUniqueOrThrow({ where: { id: delegation } }),
    };
  },
  offboard: async () => {
    const user = await world.user("Carol");
    await world.agent(user);
    return {
      caller: world.operator,
      type: "user.offboarded",
      make: (deps, by) => offboardUser(deps, { caller: world.operator, user, context: by }),
      rows: () => statusOf("user", user),
    };
  },
  "pass on": async () => {
    const { one, two, parent } = await budgeted();
    const terms = { toAgent: two.id, resource: mail, scope: ["mail.read"], budget: { tokens: 4 } };
    return {
      caller: one,
      type: "delegation.created",
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
      type: "delegation.revoked",
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
      type: "action.reported",
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

class Crash extends Error {
  override readonly name = "Crash";
}

/** What answers at once, and so can't be died in. */
const immediate = new Set(["now", "randomBytes", "decide", "invalidate", "signReceipt"]);
const moments = ["before", "after"] as const;

/** The same deps of a process that dies at its `place`th await: before what it asks for is done, or before it knows that it is. */
function dyingAt(place: number, when: (typeof moments)[number]): { deps: Deps; hasDied: () => boolean } {
  const deps = depsOf();
  let awaited = 0;
  const dying = Object.entries(deps).map(([name, dep]) => {
    if (typeof dep !== "function" || immediate.has(name)) return [name, dep];
    const ask = dep as (...given: readonly unknown[]) => Promise<unknown>;
    return [
      name,
      async (...given: readonly unknown[]) => {
        awaited++;
        if (awaited > place || (awaited === place && when === "before")) throw new Crash();
        const answer = await ask(...given);
        if (awaited >= place) throw new Crash();
        return answer;
      },
    ];
  });
  // The same names with the same signatures.
  return { deps: Object.fromEntries(dying) as Deps, hasDied: () => awaited >= place };
}

const keyedBy = ({ caller }: Change, key: string) => ({
  organization,
  principal: caller.id,
  key,
  requestHash: "asked",
  keepsAnswer: true,
});

/** Makes a change under an idempotency key, as the API does. */
async function send(deps: Deps, change: Change, key: string): Promise<string> {
  const keyed = keyedBy(change, key);
  const kept = await recallAnswer(deps, keyed);
  if (kept !== undefined) return kept.text;
  const demands = { writes: [onceWrite(deps, keyed)], conditions: [] };
  const text = JSON.stringify(await change.make(deps, { ...context, demands }));
  await keepAnswer(deps, keyed, { status: 200, text });
  return text;
}

/** What became of a change that was sent to a process which may have died. */
async function crashIn(change: Change, key: string, { deps, hasDied }: ReturnType<typeof dyingAt>) {
  const [rows, size] = [await change.rows(), (await world.entries()).length];
  const answer = await send(deps, change, key).catch((error: unknown) => {
    if (error instanceof Crash) return undefined;
    throw error;
  });
  const recorded = (await world.entries()).slice(size).map(({ type }) => type);
  const isDone = recorded.length > 0;
  expect(recorded, key).toEqual(isDone ? [change.type] : []);
  if (isDone) expect(await change.rows(), key).not.toEqual(rows);
  else expect(await change.rows(), key).toEqual(rows);
  const keyed = await findIdempotencyKey(world.db, keyedBy(change, key));
  expect(keyed?.index, key).toBe(isDone ? size : undefined);
  return { died: hasDied(), answer, index: size, isDone, keptAnswer: keyed?.answer !== undefined };
}

describe("a process that dies at any await of", () => {
  test.each(Object.entries(changes))(
    "[FLT-001] [API-002] %s leaves entry and rows or neither, and makes it once, however often its key is sent",
    async (name, ready) => {
      const deaths = { beforeCommit: 0, afterCommit: 0 };
      for (const when of moments) {
        for (let place = 1, died = true; died; place++) {
          const [change, key] = [await ready(), `${name} ${when} ${place}`];
          const outcome = await crashIn(change, key, dyingAt(place, when));
          died = outcome.died;
          if (died) deaths[outcome.isDone ? "afterCommit" : "beforeCommit"]++;

          const repeat = () => send(depsOf(), change, key).catch(({ message }: Error) => message);
          const [first, second] = [await repeat(), await repeat()];
          expect(second, key).toBe(first);
          if (outcome.answer !== undefined) expect(first, key).toBe(outcome.answer);
          // What it would have answered is lost with the process: the repeat is told where it is recorded.
          if (outcome.isDone && !outcome.keptAnswer)
            expect(first).toContain(`at index ${outcome.index} of the log`);
          const made = (await world.entries()).slice(outcome.index).map(({ type }) => type);
          expect(made, key).toEqual([change.type]);
        }
      }
      // Of each kind there are the two sides of the commit, and of what follows or comes before it.
      expect(deaths.beforeCommit).toBeGreaterThan(2);
      expect(deaths.afterCommit).toBeGreaterThan(2);
    },
  );

  test("[ACT-001] [BUD-004] an authorization spends a call for each yes in the ledger, and none without", async () => {
    let deaths = 0;
    for (const when of moments) {
      for (let place = 1, died = true; died; place++) {
        const { agent, delegation, claims } = await granted();
        const request = await acting.requestOf(agent, claims);
        const size = (await world.entries()).length;
        const { deps, hasDied } = dyingAt(place, when);
        const asked = await authorizeAction(deps, request).catch((error: unknown) => {
          if (error instanceof Crash) return undefined;
          throw error;
        });
        died = hasDied();
        if (died) deaths++;
        // Nothing is read after the commit: whoever knows that it is committed has all of the answer.
        else expect(asked).toMatchObject({ decision: "allow", callsLeft: 8 });
        const yeses = (await world.entries()).slice(size).map(({ type }) => type);
        const rows = await world.db.prisma.action.count({ where: { delegationId: delegation } });
        const [budget] = await budgetsOf([delegation]);
        expect([yeses.length, Number(budget?.spent)], `${when} ${place}`).toEqual([rows, rows]);
        expect(await acting.allowed(agent, claims)).toMatchObject({ callsLeft: 8 - rows });
      }
    }
    expect(deaths).toBeGreaterThan(2);
  });
});
