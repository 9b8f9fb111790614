import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import { parseAudience } from "@countersign/sdk/model/audience";
import { type DelegationId, parseId, type UserId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { delegationToWire } from "../../src/http/wire.ts";
import { explainAccess } from "../../src/journeys/agent/access.ts";
import { reachNow } from "../../src/store/reach.ts";
import { type Acting, type ActingAgent, openActing } from "../journeys/acting.ts";
import { must, organization } from "../journeys/server-process.ts";
import {
  type AgentPrincipal,
  errorOf,
  openWorld,
  outcomeOf,
  startAnotherProcess,
  type World,
} from "../journeys/world.ts";

const calendar = must(parseAudience("https://calendar.example"));
let world: World;
let acting: Acting;
let calendarServer: Principal;
let bob: UserId;
beforeAll(async () => {
  world = await openWorld();
  acting = openActing(world);
  calendarServer = await world.resource(calendar, world.alice);
  bob = await world.user("Bob");
});
afterAll(() => world.close());
beforeEach(() => {
  world.clock.nowMs += 2000;
  world.main.hot.invalidateAll();
});

const idOf = ({ delegation }: AccessTokenClaims) => must(parseId("delegation", delegation ?? ""));

/** An agent's token, what a listed tool redeemed it for, and what that passed on to a third. */
async function redeemed() {
  const [first, agent, third] = [
    await world.agent(world.alice),
    await world.agent(world.alice),
    await world.agent(world.alice),
  ];
  const tool = await acting.agent();
  const onward = [{ agent: tool.principal.id, resource: calendar, scope: ["mail.read"] }];
  const root = await world.grant(world.alice, first, { onward });
  const delegation = await world.passOn(first, root, agent, { onward });
  const { claims } = await world.exchange(agent, delegation);
  const gained = (await world.redeem(tool.principal, claims)).claims;
  const child = idOf(gained);
  const below = await world.passOn(tool.principal, child, third, { resource: calendar });
  return { first, agent, third, tool, root, delegation, claims, gained, child, below };
}
type Redeemed = Awaited<ReturnType<typeof redeemed>>;

async function suspendAndResume(agent: AgentPrincipal) {
  await world.setStatus(agent, "suspended");
  await world.setStatus(agent, "active");
}

/** The ways in which authority comes back to an agent that was stopped. */
const returns: readonly (readonly [string, (given: Redeemed) => Promise<unknown>])[] = [
  ["the agent is resumed", ({ agent }) => suspendAndResume(agent)],
  ["the agent further up is resumed", ({ first }) => suspendAndResume(first)],
  [
    "its transfer is consented to",
    async ({ first, agent, delegation }) => {
      await world.transfer(agent, bob);
      await world.consent(delegation, first);
    },
  ],
];

const heldBy = async ({ principal: { id: agent } }: ActingAgent): Promise<readonly DelegationId[]> => {
  const asked = { caller: world.operator, agent, after: undefined, limit: 50 };
  const { items } = await explainAccess(world.deps, asked);
  return items.flatMap((one) => (one.by === "delegation" ? [one.chain.leaf.delegation.id] : []));
};
const liveBelow = async (id: DelegationId) =>
  (await reachNow(world.db, { kind: "delegation", id, organization }, new Date(world.clock.nowMs))).live;
const statusOf = async (id: DelegationId) =>
  delegationToWire(must(await world.deps.findDelegationChain(organization, id)), world.clock.nowMs);

/** How each use of what was redeemed ends. */
const usesOf = ({ tool, third, gained, child, below }: Redeemed, process = world.main) =>
  Promise.all([
    outcomeOf(world.exchange(tool.principal, child, {}, process)),
    outcomeOf(world.exchange(third, below, {}, process)),
    outcomeOf(world.passOn(tool.principal, child, third, { resource: calendar })),
    acting.authorize(tool, gained, {}, process).then(
      ({ decision }) => decision,
      ({ code }) => code,
    ),
    world.introspectClaims(calendarServer, gained).then((claims) => claims !== undefined),
  ]);

describe("what a token was redeemed for that died with its agent", () => {
  test.each(returns)("[ONW-005] stays dead for every use when %s", async (_, comeBack) => {
    const given = await redeemed();
    expect(await usesOf(given)).toEqual(["done", "done", "done", "allow", true]);
    await comeBack(given);
    world.clock.nowMs += 2000;
    const dead = ["invalid_delegation", "invalid_delegation", "invalid_delegation", "invalid_token", false];
    expect(await usesOf(given)).toEqual(dead);
    // What it came of is as good as ever, and so is what comes of it anew.
    const anew = (await world.exchange(given.agent, given.delegation)).claims;
    const gained = (await world.redeem(given.tool.principal, anew)).claims;
    expect(await world.introspectClaims(calendarServer, gained)).toEqual(gained);
  });

  test.each(returns)("[ONW-005] is nowhere told to be live when %s", async (_, comeBack) => {
    const given = await redeemed();
    expect(await heldBy(given.tool)).toEqual([given.child]);
    expect(await liveBelow(given.delegation)).toEqual({ delegations: 3, agents: 3 });
    await comeBack(given);
    expect(await heldBy(given.tool)).toEqual([]);
    expect(await liveBelow(given.delegation)).toEqual({ delegations: 1, agents: 1 });
    for (const id of [given.child, given.below]) {
      const { status, status_reason } = await statusOf(id);
      expect([status, status_reason]).toEqual(["inactive", expect.stringContaining("was stopped since")]);
    }
  });

  test.each(returns)("[TOK-003] is refused by the commit itself when %s", async (_, comeBack) => {
    const given = await redeemed();
    const other = await startAnotherProcess(world);
    for (const [client, handle] of [
      [given.tool.principal, given.child],
      [given.third, given.below],
    ] as const) {
      await world.exchange(client, handle, {}, other);
    }
    await comeBack(given);
    world.clock.nowMs += 2000;
    const ends = await usesOf(given, other);
    await other.close();
    expect(ends.slice(0, 2)).not.toContain("done");
    expect(ends.slice(3)).toEqual(["invalid_token", false]);
  });

  test("[ONW-005] nor is what was passed on below it consented to, whose agent was transferred itself", async () => {
    const given = await redeemed();
    await world.transfer(given.third, bob);
    await suspendAndResume(given.agent);
    const consent = world.consent(given.below, given.tool.principal);
    expect((await errorOf(consent)).code).toBe("invalid_delegation");
  });

  test("[ONW-005] is not touched by a stop of the agent that redeemed it, once that is resumed", async () => {
    const given = await redeemed();
    await suspendAndResume(given.tool.principal);
    world.clock.nowMs += 2000;
    await world.exchange(given.tool.principal, given.child);
    expect(await heldBy(given.tool)).toEqual([given.child]);
  });
});

describe("within the second of a stop", () => {
  const tokens = async () => (await world.entries()).filter(({ type }) => type === "token.issued").length;

  test("[TOK-006] nothing is issued that is dead already: the agent is told to wait for the next one", async () => {
    const { agents, leaf, presenter } = await world.chain(world.alice, 2);
    const above = must(agents[0]);
    const attempts = [() => world.exchange(presenter, leaf), () => world.issue(presenter)];
    for (const [stopped, refusedAttempts] of [
      [above, attempts.slice(0, 1)],
      [presenter, attempts],
    ] as const) {
      world.clock.nowMs = Math.ceil(world.clock.nowMs / 1000) * 1000 + 1500;
      await suspendAndResume(stopped);
      const before = await tokens();
      for (const offMs of [0, 499]) {
        world.clock.nowMs += offMs;
        for (const attempt of refusedAttempts) {
          const { code, publicDetail } = await errorOf(attempt());
          expect([code, publicDetail]).toEqual([
            "subject_not_active",
            expect.stringContaining("try again in a second"),
          ]);
          expect((await world.entries()).at(-1)?.refusal?.code).toBe("subject_not_active");
        }
      }
      expect(await tokens()).toBe(before);
      world.clock.nowMs += 1;
      for (const attempt of attempts) {
        const { claims } = await attempt();
        expect(await world.introspectClaims(presenter, claims)).toEqual(claims);
      }
    }
  });

  test("[TOK-006] nor is anything by redeeming: of a live token, by an agent that was just resumed", async () => {
    const { tool, claims, child } = await redeemed();
    await suspendAndResume(tool.principal);
    for (const attempt of [
      () => world.redeem(tool.principal, claims),
      () => world.exchange(tool.principal, child),
    ]) {
      const { code } = await errorOf(attempt());
      expect(code).toBe("subject_not_active");
    }
    world.clock.nowMs += 1000;
    const { claims: gained } = await world.redeem(tool.principal, claims);
    expect(await world.introspectClaims(calendarServer, gained)).toEqual(gained);
  });
});
