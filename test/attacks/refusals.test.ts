import { logOf } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { refuse, trailOf } from "../../src/journeys/record/record.ts";
import { createRefusals } from "../../src/journeys/record/refusals.ts";
import { audience, exchangeOf } from "../chaos/cast.ts";
import { sqlOf } from "../chaos/postgres.ts";
import { context, organization } from "../journeys/server-process.ts";
import { type AgentPrincipal, errorOf, openWorld, type World } from "../journeys/world.ts";
import { openStage, type Stage } from "./stage.ts";

// What an agent can try so that the ledger does not tell what it was refused, or drowns in it.

/** As many scopes as can be asked for, each as long as one can be. */
const longScope = Array.from({ length: 64 }, (_, place) => `${place}`.padStart(128, "x"));

describe("over the wire", () => {
  const removals: (() => Promise<void>)[] = [];
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage((remove) => removals.push(remove));
  });
  afterAll(() => Promise.all(removals.map((remove) => remove())));

  test("[LED-001] [LED-003] a scope too long for an entry hides neither its own refusal nor those of its kind", async () => {
    const agent = await stage.cast.createAgent("greedy");
    const delegation = await stage.cast.grant(agent);
    for (const scope of [longScope.join(" "), "mail.send", longScope.join(" ")]) {
      const { error, error_description = "" } = await stage.ask(agent, { ...exchangeOf(delegation), scope });
      expect(error).toBe("invalid_scope");
      expect(error_description.length).toBeLessThan(512);
    }
    const caller = await stage.signIn(agent, "delegate");
    const body = { parent: delegation, to_agent: agent.id, resource: audience, scope: longScope };
    const passedOn = { method: "POST", path: "/v1/delegations", body: JSON.stringify(body) } as const;
    const { text } = await stage.call(caller, passedOn);
    expect(JSON.parse(text)).toMatchObject({
      code: "scope_widening",
      detail: expect.stringContaining("and 61 more"),
    });

    // What was counted is committed when the server stops.
    await stage.at(0).stop();
    await stage.installation.startServer();
    const rows = await sqlOf(
      stage.installation.dataDir,
      `SELECT entry::json->>'type' AS type, coalesce((entry::json->>'count')::int, 1) AS count FROM ledger_entry
       WHERE entry::json->>'agent' = '${agent.id}' AND entry::json->'refusal'->>'code' = 'scope_widening' ORDER BY index`,
    );
    expect(rows).toEqual([
      { type: "token.refused", count: 1 },
      { type: "delegation.refused", count: 1 },
      { type: "token.refused", count: 2 },
    ]);
  });
});

describe("in one process", () => {
  let world: World;
  let agent: AgentPrincipal;
  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world.close());

  /** What was recorded of the agent's refusals since a moment, which is when this is called. */
  const refusalsOf = async () => {
    agent = await world.agent(world.alice);
    const before = (await world.entries()).length;
    return async () => (await world.entries()).slice(before).filter(({ actor }) => actor.id === agent.id);
  };
  const refusedFor = (target: string, reason = "no", deps: Parameters<typeof refuse>[0] = world.deps) =>
    refuse(deps, "action.refused", trailOf(agent, context), target, {
      code: "not_authorized",
      publicDetail: "no",
      reason,
    });
  const sumOf = (entries: readonly { readonly count?: number | undefined }[]) =>
    entries.reduce((sum, { count = 1 }) => sum + count, 0);

  test("[LED-001] [LED-003] ever new kinds of refusals are counted in a sum, not recorded one by one", async () => {
    const recorded = await refusalsOf();
    await Promise.all(Array.from({ length: 300 }, (_, kind) => refusedFor(`junk ${kind}`)));
    expect(await recorded()).toHaveLength(101);
    for (let time = 0; time < 20; time++) await refusedFor("what it hides");
    expect(await recorded()).toHaveLength(101);
    await world.main.refusals.flush("all");
    const entries = await recorded();
    expect(sumOf(entries)).toBe(320);
    expect(entries.at(-1)).toMatchObject({
      type: "action.refused",
      actor: { kind: "agent", id: agent.id },
      refusal: { code: "not_authorized", reason: expect.stringContaining("of how many kinds is not known") },
      count: 219,
    });
  });

  test("[LED-001] no refusal is answered as the repeat of one that could not be recorded", async () => {
    const recorded = await refusalsOf();
    let isOut = true;
    const { append, now } = world.deps;
    const refusals = createRefusals({
      now,
      append: (log, request) =>
        isOut ? Promise.reject(new Error("the ledger is out")) : append(log, request),
    });
    const deps = { recordRefusal: refusals.record };
    const attempts = await Promise.allSettled([1, 2, 3].map(() => refusedFor("same", "no", deps)));
    expect(attempts.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    await expect(refusedFor("same", "no", deps)).rejects.toThrow("the ledger is out");
    await expect(refusals.flush("due")).rejects.toThrow("counted refusals that could not be recorded: 1");
    isOut = false;
    await refusedFor("same", "no", deps);
    expect(await recorded()).toMatchObject([{ count: 5 }]);
  });

  test("[LED-001] what can't be recorded in its words is recorded without them, and holds up nothing", async () => {
    const recorded = await refusalsOf();
    const { refusals } = world.main;
    const code = "scope_widening";
    const poisoned = {
      key: "poisoned",
      log: logOf(organization),
      entry: {
        ...trailOf(agent, context),
        type: "token.refused",
        tool: "x".repeat(300),
        refusal: { code, reason: "no" },
      },
      writes: [],
    } as const;
    for (let time = 0; time < 3; time++) await refusals.record(poisoned);
    await refusals.flush("all");
    const refusal = { code, reason: "what it was can't be recorded" };
    expect(await recorded()).toMatchObject([{ refusal }, { refusal, count: 2 }]);
  });

  test("[LED-001] the caller is told the refusal, however long the reason and whatever is in it", async () => {
    const recorded = await refusalsOf();
    const reasons = ["x".repeat(1023).concat("\u{1f512}"), "\0", "\ud800", longScope.join(" ")];
    for (const reason of reasons) expect((await refusedFor(reason, reason)).code).toBe("not_authorized");
    expect((await recorded()).map(({ refusal }) => refusal?.reason)).toEqual([
      `${"x".repeat(1023)}\ufffd`,
      "\ufffd",
      "\ufffd",
      longScope.join(" ").slice(0, 1024),
    ]);
    expect((await errorOf(world.exchange(agent, longScope.join(" ")))).code).toBe("invalid_delegation");
  });
});
