import { afterAll, beforeAll, expect, test } from "vitest";
import { faultOf } from "../../src/domain/delegation-chain.ts";
import { findAgent, listAgents } from "../../src/store/agents.ts";
import { findDelegationChain, listDelegationChains } from "../../src/store/delegations.ts";
import { findOperator } from "../../src/store/operators.ts";
import { findResource, findResourceByAudience, listResources } from "../../src/store/resources.ts";
import { findUser, listUsers } from "../../src/store/users.ts";
import { mail, organization } from "./server-process.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

test("[DEL-006] a delegation is listed with what it rests on, and so with what it comes to", async () => {
  const { agents, path } = await world.chain(world.alice, 3);
  const [, second] = agents;
  const [root, middle] = path;
  if (second === undefined || root === undefined || middle === undefined) throw new Error("no chain");
  const faults = async (nowMs = world.clock.nowMs) => {
    const listed = await listDelegationChains(world.db, organization, { limit: 100 });
    const ours = listed.filter(({ leaf }) => leaf.delegation.root === root);
    for (const chain of ours) {
      expect(await findDelegationChain(world.db, organization, chain.leaf.delegation.id)).toEqual(chain);
    }
    const codeOf = new Map(
      ours.map((chain) => [chain.leaf.delegation.id, faultOf(chain, nowMs)?.code ?? "live"]),
    );
    return path.map((id) => codeOf.get(id));
  };
  expect(await faults()).toEqual(["live", "live", "live"]);
  await world.setStatus(second, "suspended");
  expect(await faults()).toEqual(["live", "subject_not_active", "subject_not_active"]);
  expect(await faults(world.clock.nowMs + 3_600_000)).toEqual(Array(3).fill("invalid_delegation"));
  await world.revoke(middle);
  expect(await faults()).toEqual(["live", "invalid_delegation", "invalid_delegation"]);
});

test("[ORG-001] no store function finds a row of another organization", async () => {
  const { organization: foreign } = await world.makeOrganization("reader");
  const { presenter, leaf } = await world.chain(world.alice, 1);
  const { db, alice, mailbox, operator } = world;
  const page = { limit: 10 };
  const found = [
    await findUser(db, foreign, alice),
    await findAgent(db, foreign, presenter.id),
    await findResource(db, foreign, mailbox.id),
    await findResourceByAudience(db, foreign, mail),
    await findOperator(db, foreign, operator.id),
    await findDelegationChain(db, foreign, leaf),
    await world.deps.findClient({ ...presenter, organization: foreign }),
  ];
  expect(found).toEqual(found.map(() => undefined));
  const lists = [
    await listUsers(db, foreign, page),
    await listAgents(db, foreign, page),
    await listResources(db, foreign, page),
    await listDelegationChains(db, foreign, page),
  ];
  expect(lists.flat()).toEqual([]);
});

test("a list is paged by id without gap or repeat", async () => {
  for (let made = 0; made < 5; made++) await world.user(`user ${made}`);
  const all = await listUsers(world.db, organization, { limit: 100 });
  const paged = [];
  for (let after: string | undefined; ; ) {
    const page = await listUsers(world.db, organization, { after, limit: 2 });
    paged.push(...page);
    after = page.at(-1)?.id;
    if (page.length < 2) break;
  }
  expect(paged).toEqual(all);
});
