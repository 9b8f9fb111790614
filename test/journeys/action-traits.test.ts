import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Attributes } from "../../src/domain/attributes.ts";
import { authorizeAction } from "../../src/journeys/action/authorize.ts";
import { decisionInputContext } from "../../src/journeys/decide-scopes.ts";
import { decide } from "../../src/policy/decide.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy } from "../../src/policy/snapshot.ts";
import { type Acting, openActing } from "./acting.ts";
import { issuer, must } from "./server-process.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
let acting: Acting;
beforeAll(async () => {
  world = await openWorld();
  acting = openActing(world);
});
afterAll(() => world.close());

async function armed() {
  const agent = await acting.agent();
  const claims = await acting.redeem(agent, await world.grant(world.alice, agent.principal));
  return { agent, claims };
}
const last = async () => must((await world.entries()).at(-1));
const traits = {
  cost: { spend: { amount: "12.50", unit: "EUR" }, rows: 10 },
  provenance: "internal",
  sensitivity: "personal",
} as const;
const friday = Date.UTC(2027, 0, 15, 8, 30);

/** What was sealed of the decision that the last entry tells of. */
async function sealedOfLast(): Promise<readonly { readonly attributes: Attributes }[]> {
  const input = (await last()).decision?.input ?? "";
  const row = await world.db.prisma.decisionInput.findUniqueOrThrow({ where: { hash: input } });
  const opened = await world.deps.sealer.open(row.dataKeyId, row.sealed, decisionInputContext(input));
  return JSON.parse(Buffer.from(opened).toString()).requests;
}

describe("[BUD-020] what policy sees of an action", () => {
  test("is sealed with the decision: what was said, when, of whom, and who vouched for the token's agent", async () => {
    world.clock.nowMs = friday;
    const { agent, claims } = await armed();
    await acting.allowed(agent, claims, { traits });
    const known = {
      "action.amount": 12.5,
      "action.currency": "EUR",
      "action.rows": 10,
      "action.provenance": "internal",
      "action.sensitivity": "personal",
      "context.hour": 8,
      "context.weekday": "fri",
      "subject.kind": "worker",
      "subject.attestation": "none",
    };
    expect(await sealedOfLast()).toMatchObject([{ attributes: known }]);
    const vouched = { ...claims, attestation: "measured" } as const;
    await acting.allowed(agent, vouched);
    const [{ attributes } = { attributes: {} }] = await sealedOfLast();
    expect(attributes).toEqual({
      "context.hour": 8,
      "context.weekday": "fri",
      "subject.kind": "worker",
      "subject.attestation": "measured",
    });
  });

  test.each([
    ["action.currency=EUR & action.amount>12.49 & action.amount<=12.5", true],
    ["action.currency=EUR & action.amount>12.5", false],
    ["action.currency=USD & action.amount>12", false],
    ["action.rows>9 & action.rows<11", true],
    ["action.provenance=trusted", false],
    ["action.sensitivity=personal|secret", true],
    ["context.hour>=8 & context.hour<9", true],
    ["context.weekday=sat|sun", false],
    ["subject.kind=worker", true],
    ["subject.attestation!=measured", true],
    // Nobody told.
    ["action.dry=true", true],
  ])("decides: a line that denies where %s", async (when, denies) => {
    world.clock.nowMs = friday;
    const { model, policy: shipped } = await readShippedPolicy();
    const line = `p, asked, *, agent, *, *, action.authorize, *, ${when}, deny, asked for`;
    const policy = await loadPolicy({ model, policy: `${shipped}\n${line}`, issuer });
    const { agent, claims } = await armed();
    const deps = {
      ...acting.deps,
      decide: (request: Parameters<typeof decide>[1]) => decide(policy, request),
    };
    const answer = await authorizeAction(deps, await acting.requestOf(agent, claims, { traits }));
    expect(answer).toMatchObject(denies ? { decision: "deny", rule: "asked" } : { decision: "allow" });
  });
});

test("[BUD-020] of two refusals that differ in what was said neither hides the other", async () => {
  const { agent, claims } = await armed();
  const deny: typeof world.deps.decide = (question) => ({ ...world.deps.decide(question), effect: "deny" });
  const asked = await acting.requestOf(agent, claims);
  for (const said of [traits, traits, { ...traits, provenance: "trusted" } as const, {}])
    await authorizeAction({ ...acting.deps, decide: deny }, { ...asked, traits: said });
  const refusals = (await world.entries()).filter(
    ({ type, jti }) => type === "action.refused" && jti === claims.jti,
  );
  expect(refusals).toHaveLength(3);
});
