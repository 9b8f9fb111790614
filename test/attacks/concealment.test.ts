import { randomBytes } from "node:crypto";
import { newId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createAgent } from "../../src/journeys/agent/create.ts";
import { context } from "../journeys/server-process.ts";
import { errorOf, openWorld, publicJwk, type World } from "../journeys/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());
beforeEach(() => world.main.hot.invalidateAll());

describe("an agent that presents what is not its own", () => {
  test("[DEL-004] can't hide its attempts on real delegations behind made-up ones", async () => {
    const stranger = await world.agent(await world.user("Mallory"));
    const { path } = await world.chain(world.alice, 3);
    const invented = () => newId("delegation", world.clock.nowMs, randomBytes(16));
    for (const handle of [invented(), ...path, invented()]) await errorOf(world.exchange(stranger, handle));
    const told = (await world.entries()).filter(({ actor }) => actor.id === stranger.id);
    expect(told.map(({ delegation }) => delegation).slice(1)).toEqual(path);
    for (const { refusal } of told.slice(1)) {
      expect(refusal?.reason).toBe("presented by another than its grantee");
    }
  });

  test("[ORG-001] learns nothing of Resources from what it may not ask of them", async () => {
    const stranger = await world.agent(await world.user("Mallory"));
    const mail = world.mailboxAudience;
    const answers = await Promise.all(
      [
        { resource: mail },
        { resource: mail, scope: ["mail.read"] },
        { resource: mail, scope: ["no.such"] },
        { resource: "https://unknown.example", scope: ["mail.read"] },
      ].map((asked) => errorOf(world.issue(stranger, asked))),
    );
    expect(new Set(answers.map(({ code, publicDetail }) => `${code}: ${publicDetail}`)).size).toBe(1);
  });
});

test("[AGT-001] a key has one spelling: no other one makes it a second principal's", async () => {
  const jwk = publicJwk();
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const x = String(jwk["x"]);
  const last = alphabet.indexOf(x.slice(-1));
  const create = (spelling: string) =>
    createAgent(world.deps, {
      caller: world.operator,
      owner: world.alice,
      name: "agent",
      kind: "worker",
      publicJwk: { ...jwk, x: spelling },
      context,
    });
  await create(x);
  for (const unused of [1, 2, 3]) {
    const other = x.slice(0, -1) + alphabet.charAt(last ^ unused);
    expect((await errorOf(create(other))).code).toBe("invalid_request");
  }
});
