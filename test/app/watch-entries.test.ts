import type { Selector } from "@countersign/sdk/model/selector";
import { expect, test } from "vitest";
import { watchEntries } from "../../src/app/watch-entries.ts";
import { createEntry } from "../../src/journeys/entry/create.ts";
import { context, organization, trustDomain } from "../journeys/server-process.ts";
import { openWorld } from "../journeys/world.ts";

test("that entries changed is told once, by whatever reading finds it, and never when none did", async () => {
  const world = await openWorld();
  const { id: agent } = await world.agent(world.alice);
  const selectors: readonly Selector[] = ["unix:uid:7" as Selector];
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

  await createEntry(world.deps, {
    caller: world.operator,
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
  // A workload's question finds it before the news of it is there.
  expect(await entries.matchNow(selectors)).toHaveLength(1);
  expect(told).toBe(1);
  await entries.reload();
  expect(told).toBe(1);
  await entries.close();
  await world.close();
});
