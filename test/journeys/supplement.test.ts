import { logOf, parseId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stopAgent } from "../../src/journeys/agent/stop.ts";
import { revokeTokenById } from "../../src/journeys/token/revoke.ts";
import { findRevocation } from "../../src/store/revocations.ts";
import { readSupplement } from "../../src/store/supplement.ts";
import { type Acting, openActing, type Signer } from "./acting.ts";
import { context, must, organization } from "./server-process.ts";
import { nameOf, openWorld, type World } from "./world.ts";

const drive = "https://drive.example";
let world: World;
let acting: Acting;
let witness: Signer;
beforeAll(async () => {
  world = await openWorld();
  acting = openActing(world);
  witness = await acting.resource(drive);
});
afterAll(async () => {
  await publish(0);
  await world.close();
});

const publish = (size: number) =>
  world.db.prisma.log.update({ where: { id: logOf(organization) }, data: { publishedSize: size } });

/** An agent with a delegation of the drive, a token of it and an action that it was let do. */
async function acted(to?: Awaited<ReturnType<Acting["agent"]>>) {
  const agent = to ?? (await acting.agent());
  const delegation = await world.grant(world.alice, agent.principal, { resource: drive });
  const claims = await acting.redeem(agent, delegation);
  const { action } = await acting.allowed(agent, claims);
  const of = { resource: drive, action_id: action, agent: nameOf(agent.principal) };
  return { agent, delegation, claims, of };
}

/** The places of what the supplement of a revocation holds, page by page. */
async function supplementOf(index: number, limit = 1) {
  await publish((await world.entries()).length);
  const revocation = must(await findRevocation(world.db, organization, index));
  const places: number[] = [];
  let after: number | undefined;
  do {
    const page = await readSupplement(world.db, revocation, { after, limit });
    places.push(...page.reports.map(({ ledger }) => ledger.index));
    after = page.next;
  } while (after !== undefined);
  return places;
}

test("[REV-007] what was reported after a revocation of actions under it, by whomever, is its supplement", async () => {
  const [one, other] = [await acted(), await acted()];
  const before = await acted(one.agent);
  await acting.report(one.agent, before.of);
  const { ledger } = await world.revoke(one.delegation);
  expect(await supplementOf(ledger.index)).toEqual([]);
  const claimed = await acting.report(one.agent, one.of);
  const witnessed = await acting.report(witness, one.of);
  await acting.report(other.agent, other.of);
  expect(await supplementOf(ledger.index)).toEqual([claimed.ledger.index, witnessed.ledger.index]);
  expect(await supplementOf(ledger.index, 50)).toEqual([claimed.ledger.index, witnessed.ledger.index]);
});

test("[REV-007] of an agent and of a token holds what was done by the one and under the other", async () => {
  const [stopped, robbed] = [await acted(), await acted()];
  const token = must(parseId("token", robbed.claims.jti));
  const ofToken = await revokeTokenById(world.deps, { caller: world.operator, token, context });
  const request = { caller: world.operator, agent: stopped.agent.principal.id, context } as const;
  const { receipt: ofAgent } = await stopAgent(world.deps, { ...request, status: "retired" });
  const seen = await acting.report(witness, stopped.of);
  const claimed = await acting.report(robbed.agent, robbed.of);
  expect(await supplementOf(ofAgent.ledger.index)).toEqual([seen.ledger.index]);
  expect(await supplementOf(ofToken.ledger.index)).toEqual([claimed.ledger.index]);
});

test("[REV-007] goes as far as the published checkpoint, and says how far that is", async () => {
  const one = await acted();
  const { ledger } = await world.revoke(one.delegation);
  const { ledger: reported } = await acting.report(one.agent, one.of);
  const revocation = must(await findRevocation(world.db, organization, ledger.index));
  const page = () => readSupplement(world.db, revocation, { limit: 50 });
  await publish(reported.index);
  expect(await page()).toEqual({ reports: [], asOf: reported.index, next: undefined });
  await publish(reported.index + 1);
  expect(await page()).toMatchObject({ reports: [{ ledger: reported }], asOf: reported.index + 1 });
});
