import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { authorizeAction } from "../../src/journeys/action/authorize.ts";
import { decide } from "../../src/policy/decide.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy } from "../../src/policy/snapshot.ts";
import { type Acting, openActing } from "./acting.ts";
import { issuer } from "./server-process.ts";
import { openWorld, startAnotherProcess, type World } from "./world.ts";

let world: World;
let acting: Acting;
beforeAll(async () => {
  world = await openWorld();
  acting = openActing(world);
});
afterAll(() => world.close());

const { model, policy: shipped } = await readShippedPolicy();
const lines = [
  "p, slowly, *, agent, *, *, action.authorize, mail.*, *, rate:3/60s, not too fast",
  "p, few-sends, *, agent, *, *, action.authorize, mail.send, *, rate:1/3600s, one an hour",
];
const policy = await loadPolicy({ model, policy: [shipped, ...lines].join("\n"), issuer });
const limited = { decide: (request: Parameters<typeof decide>[1]) => decide(policy, request) };
async function armed() {
  const agent = await acting.agent();
  const claims = await acting.redeem(agent, await world.grant(world.alice, agent.principal));
  const ask = async (scope: readonly string[] = ["mail.read"], process: object = {}) =>
    authorizeAction(
      { ...acting.deps, ...process, ...limited },
      await acting.requestOf(agent, claims, { scope: [...scope] }),
    );
  return { agent, claims, ask };
}

describe("[BUD-025] what a policy line lets an agent do so often only", () => {
  test("is a no beyond that, with its entry and when to ask again, and a yes when the time is over", async () => {
    const { claims, ask } = await armed();
    for (let i = 0; i < 3; i++) expect(await ask()).toMatchObject({ decision: "allow" });
    const no = { decision: "deny", code: "too_many_requests", retryAfterSeconds: 60 };
    expect(await ask()).toMatchObject(no);
    const refusals = (await world.entries()).filter(
      ({ type, jti }) => type === "action.refused" && jti === claims.jti,
    );
    expect(refusals).toMatchObject([{ refusal: { code: "too_many_requests" } }]);
    world.clock.nowMs += 59_999;
    expect(await ask()).toMatchObject(no);
    world.clock.nowMs += 1;
    expect(await ask()).toMatchObject({ decision: "allow" });
  });

  test("is counted for each line, once for an action of several scopes, and for each agent apart", async () => {
    const [one, two] = [await armed(), await armed()];
    expect(await one.ask(["mail.read", "mail.send"])).toMatchObject({ decision: "allow" });
    expect(await one.ask(["mail.send"])).toMatchObject({ decision: "deny", retryAfterSeconds: 3600 });
    // What was refused counts for nothing.
    for (let i = 0; i < 2; i++) expect(await one.ask()).toMatchObject({ decision: "allow" });
    expect(await one.ask()).toMatchObject({ code: "too_many_requests" });
    expect(await two.ask()).toMatchObject({ decision: "allow" });
  });

  test("is exact, whoever asks at once and in whichever process", async () => {
    const { ask } = await armed();
    const second = await startAnotherProcess(world);
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) => ask(["mail.read"], i % 2 ? { append: second.deps.append } : {})),
    );
    await second.close();
    expect(answers.filter(({ decision }) => decision === "allow")).toHaveLength(3);
  });
});
