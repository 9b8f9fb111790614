import { type DelegationId, parseId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { record, trailOf } from "../../src/journeys/record/record.ts";
import type { Condition, Write } from "../../src/store/write.ts";
import { context, mail, must, organization } from "./server-process.ts";
import { errorOf, openWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());
beforeEach(() => world.main.hot.invalidateAll());

const chainOf = async (id: DelegationId) => must(await world.main.hot.delegationChain(organization, id));

/** Whether a chain is still the one that was read before: what is read again is another object. */
async function keeps(id: DelegationId, spoil: () => unknown): Promise<boolean> {
  const before = await chainOf(id);
  await spoil();
  return (await chainOf(id)) === before;
}

/** A delegation that was handed on, and redeemed by a tool at the end; with all that it rests on. */
async function redeemed() {
  const [agent, tool] = [await world.agent(world.alice), await world.agent(await world.user("Bob"))];
  const onward = [{ agent: tool.id, resource: world.mailboxAudience, scope: ["mail.read"] }];
  const parent = await world.grant(world.alice, agent, { onward });
  const { claims } = await world.exchange(agent, parent);
  const id = must(parseId("delegation", (await world.redeem(tool, claims)).claims.delegation ?? ""));
  return { agent, tool, parent, claims, id };
}

test("[TOK-009] news of a thing drops what rests on it, and nothing else", async () => {
  const { hot } = world.main;
  const { agent, tool, parent, claims, id } = await redeemed();
  const { owner, credentials } = must(await hot.client(tool));
  const reads = {
    child: () => hot.delegationChain(organization, id),
    parent: () => hot.delegationChain(organization, parent),
    tool: () => hot.client(tool),
    mailbox: () => hot.resourceByAudience(organization, mail),
  };
  const dropped = async (thing: string) => {
    const before = await Promise.all(Object.values(reads).map((read) => read()));
    hot.invalidate(thing);
    const after = await Promise.all(Object.values(reads).map((read) => read()));
    return Object.keys(reads).filter((_, place) => before[place] !== after[place]);
  };
  expect(await dropped(id)).toEqual(["child"]);
  expect(await dropped(claims.jti)).toEqual(["child"]);
  for (const thing of [parent, agent.id, world.alice])
    expect(await dropped(thing)).toEqual(["child", "parent"]);
  for (const thing of [tool.id, must(owner).id]) expect(await dropped(thing)).toEqual(["child", "tool"]);
  expect(await dropped(must(credentials[0]).id)).toEqual(["tool"]);
  expect(await dropped(world.mailbox.id)).toEqual(["child", "parent", "mailbox"]);
  expect(await dropped("nothing")).toEqual([]);
});

test("[TOK-009] a commit that fails drops what it shows to be old; that a budget is used up shows nothing", async () => {
  const { tool, claims, id } = await redeemed();
  const fail = (conditions: readonly Condition[], writes: readonly Write[] = []) => {
    const trail = { ...trailOf(world.operator, context), action: "token.issue" };
    const happening = {
      type: "token.issued",
      refusedAs: "token.refused",
      trail,
      conditions,
      writes,
      demands: undefined,
    } as const;
    return errorOf(record(world.deps, happening));
  };
  expect(await keeps(id, () => fail([], [{ spend: "calls", of: id, amount: 1 }]))).toBe(true);
  expect(await keeps(id, () => fail([{ on: "delegation", id, status: ["revoked"] }]))).toBe(false);
  expect(await keeps(id, () => fail([{ on: "agent", id: tool.id, status: ["active"], tenure: 7 }]))).toBe(
    false,
  );
  await chainOf(id);
  const row = { jti: claims.jti, organizationId: organization, expiresAt: new Date(), createdAt: new Date() };
  await world.db.prisma.revokedToken.create({ data: row });
  await fail([{ on: "revoked_token", id: claims.jti }]);
  expect(must((await chainOf(id)).hops[1]).tokenRevoked).toBe(true);
});
