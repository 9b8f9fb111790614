import type { AgentId } from "@countersign/sdk/model/ids";
import type { Selector } from "@countersign/sdk/model/selector";
import { expect, test } from "vitest";
import { watchEntries } from "../../src/app/watch-entries.ts";
import { createEntry } from "../../src/journeys/entry/create.ts";
import { context, organization, trustDomain } from "../journeys/server-process.ts";
import { openWorld, type World } from "../journeys/world.ts";

const selectors: readonly Selector[] = ["unix:uid:7" as Selector];

const newEntry = ({ operator }: World, agent: AgentId) => ({
  caller: operator,
  agent,
  parent: undefined,
  selectors,
  x509TtlSeconds: 3600,
  jwtTtlSeconds: 300,
  dnsNames: [],
  hint: undefined,
  federatesWith: [],
  context,
});

test("that entries changed is told once, by whatever reading finds it, and never when none did", async () => {
  const world = await openWorld();
  const { id: agent } = await world.agent(world.alice);
  let told = 0;
  const deps = {
    db: world.db,
    trustDomain,
    onChanged: () => told++,
    onReloadFailed: () => expect.unreachable(),
  };
  const entries = await watchEntries(deps, organization, null);
  await entries.reload();
  expect(told).toBe(0);

  await createEntry(world.deps, newEntry(world, agent));
  // A workload's question finds it before the news of it is there.
  expect(await entries.matchNow(selectors)).toHaveLength(1);
  expect(told).toBe(1);
  await entries.reload();
  expect(told).toBe(1);
  await entries.close();
  await world.close();
});

test("[SVI-003] an entry that becomes known while it is asked for is found", async () => {
  const world = await openWorld();
  const { id: agent } = await world.agent(world.alice);
  let isAwaited = false;
  /** The news of the entry is there before the answer to who looks for the newest one. */
  async function findFirst(...about: Parameters<typeof table.findFirst>) {
    if (isAwaited) {
      isAwaited = false;
      await entries.reload();
    }
    return table.findFirst(...about);
  }
  const { registrationEntry: table } = world.db.prisma;
  const asked = new Proxy(table, {
    get: (on, key) => (key === "findFirst" ? findFirst : Reflect.get(on, key)),
  });
  const prisma = new Proxy(world.db.prisma, {
    get: (on, key) => (key === "registrationEntry" ? asked : Reflect.get(on, key)),
  });
  const deps = { trustDomain, onChanged: () => undefined, onReloadFailed: () => expect.unreachable() };
  // Nobody is told of changes: the first reading after the entry was made is the one above.
  const listen = async () => async () => undefined;
  const entries = await watchEntries({ ...deps, db: { ...world.db, prisma, listen } }, organization, null);
  await createEntry(world.deps, newEntry(world, agent));
  isAwaited = true;
  expect(await entries.matchNow(selectors)).toHaveLength(1);
  expect(isAwaited).toBe(false);
  await entries.close();
  await world.close();
});
