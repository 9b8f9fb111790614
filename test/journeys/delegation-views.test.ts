import { afterAll, beforeAll, expect, test } from "vitest";
import { findAgent, listAgents } from "../../src/store/agents.ts";
import { findDelegationView, listDelegationViews } from "../../src/store/delegation-views.ts";
import { findOperator } from "../../src/store/operators.ts";
import { findResource, findResourceByAudience, listResources } from "../../src/store/resources.ts";
import { findUser, listUsers } from "../../src/store/users.ts";
import { mail, openWorld, organization, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

test("a delegation is shown with what it comes to, ancestors and parties included", async () => {
  const { agents, path } = await world.chain(world.alice, 3);
  const [, second] = agents;
  const [, middle] = path;
  if (second === undefined || middle === undefined) throw new Error("no chain");
  const now = () => new Date(world.clock.nowMs);
  const standings = (at = now()) =>
    Promise.all(path.map(async (id) => (await findDelegationView(world.db, organization, id, at))?.standing));
  expect(await standings()).toEqual(["active", "active", "active"]);
  await world.setStatus(second, "suspended");
  expect(await standings()).toEqual(["active", "inactive", "inactive"]);
  expect(await standings(new Date(world.clock.nowMs + 3_600_000))).toEqual(["expired", "expired", "expired"]);
  await world.revoke(middle);
  expect(await standings()).toEqual(["active", "revoked", "revoked"]);
  const views = await listDelegationViews(
    world.db,
    organization,
    { after: undefined, limit: 10, under: path[0] },
    now(),
  );
  expect(views.map(({ id, audience }) => [id, audience])).toEqual(path.slice(1).map((id) => [id, mail]));
});

test("[ORG-001] no store function finds a row of another organization", async () => {
  const { organization: foreign } = await world.makeOrganization("reader");
  const { presenter, leaf } = await world.chain(world.alice, 1);
  const { db, alice, mailbox, operator } = world;
  const page = { after: undefined, limit: 10 };
  const found = [
    await findUser(db, foreign, alice),
    await findAgent(db, foreign, presenter.id),
    await findResource(db, foreign, mailbox.id),
    await findResourceByAudience(db, foreign, mail),
    await findOperator(db, foreign, operator.id),
    await findDelegationView(db, foreign, leaf, new Date()),
    await world.deps.findDelegationChain(foreign, leaf),
    await world.deps.findClient({ ...presenter, organization: foreign }),
  ];
  expect(found).toEqual(found.map(() => undefined));
  const lists = [
    await listUsers(db, foreign, page),
    await listAgents(db, foreign, page),
    await listResources(db, foreign, page),
    await listDelegationViews(db, foreign, page, new Date()),
  ];
  expect(lists.flat()).toEqual([]);
});

test("a list is paged by id without gap or repeat", async () => {
  for (let made = 0; made < 5; made++) await world.user(`user ${made}`);
  const all = await listUsers(world.db, organization, { after: undefined, limit: 100 });
  const paged = [];
  for (let after: string | undefined; ; ) {
    const page = await listUsers(world.db, organization, { after, limit: 2 });
    paged.push(...page);
    after = page.at(-1)?.id;
    if (page.length < 2) break;
  }
  expect(paged).toEqual(all);
});
