import type { ReachItem } from "@countersign/sdk/contract/reach";
import { parseAudience } from "@countersign/sdk/model/audience";
import { logOf, newId, parseId } from "@countersign/sdk/model/ids";
import { verifyReach, verifyRevocationReceipt } from "@countersign/sdk/verify/verify-revocation-receipt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Revocation } from "../../src/domain/revocation.ts";
import { stopAgent } from "../../src/journeys/agent/stop.ts";
import { revokeDelegation } from "../../src/journeys/delegation/revoke.ts";
import { pageOfReach, previewReach, reachItems } from "../../src/journeys/reach-items.ts";
import { receiptOf } from "../../src/journeys/revocation-receipt.ts";
import { revokeTokenById } from "../../src/journeys/token/revoke.ts";
import { offboardUser } from "../../src/journeys/user/offboard.ts";
import { reachNow } from "../../src/store/reach.ts";
import { findResource } from "../../src/store/resources.ts";
import { findRevocation, listRevocations } from "../../src/store/revocations.ts";
import { context, issuer, issuerKeys, must, organization, sign } from "./server-process.ts";
import { errorOf, openWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const verified = (signed: string) => verifyRevocationReceipt(signed, { issuer, keys: issuerKeys });
const stop = (agent: Parameters<World["setStatus"]>[0], status: "suspended" | "retired") =>
  stopAgent(world.deps, { caller: world.operator, agent: agent.id, status, context });
const found = async (index: number): Promise<Revocation> =>
  must(await findRevocation(world.db, organization, index));
async function listOf(revocation: Revocation): Promise<ReachItem[]> {
  const items: ReachItem[] = [];
  for await (const item of reachItems(world.deps, revocation)) items.push(item);
  return items;
}

/** A root for one agent, a child for a second, and two leaves for a third. */
async function makeTree() {
  const [top, middle, bottom] = [
    await world.agent(world.alice),
    await world.agent(world.alice),
    await world.agent(world.alice),
  ];
  const root = await world.grant(world.alice, top);
  const child = await world.passOn(top, root, middle);
  const leaves = [await world.passOn(middle, child, bottom), await world.passOn(middle, child, bottom)];
  return { top, middle, bottom, root, child, leaves };
}

describe("the receipt of a revocation", () => {
  test("[REV-001] is signed, and says what was revoked, where, and how far it reached", async () => {
    const { middle, bottom, root, child, leaves } = await makeTree();
    world.clock.nowMs += 5_000;
    const receipt = await world.revoke(child);
    const claims = await verified(receipt.signed);
    expect(claims).toMatchObject({
      iss: issuer,
      org: organization,
      revoked: { kind: "delegation", id: child },
      ledger: { log: organization, index: receipt.ledger.index },
      tree_size: receipt.ledger.index + 1,
      counts: { delegations: 2, agents: 1 },
      reach_size: 3,
      complete_as_of: new Date(world.clock.nowMs).toISOString(),
    });
    const list = await listOf(await found(receipt.ledger.index));
    expect(list.map((item) => item.id)).toEqual([child, ...leaves].sort());
    expect(list.find(({ id }) => id === child)).toMatchObject({
      kind: "delegation",
      root,
      parent: root,
      agent: middle.id,
    });
    expect(list.filter((item) => item.kind === "delegation" && item.agent === bottom.id)).toHaveLength(2);
    await verifyReach(claims, list);
  });

  test("[REV-001] of an agent lists it first, and all that it held or gave", async () => {
    const { top, middle, root, child, leaves } = await makeTree();
    const another = await world.grant(world.alice, middle);
    const { receipt } = await stop(middle, "retired");
    const claims = await verified(receipt.signed);
    const list = await listOf(await found(receipt.ledger.index));
    expect(list[0]).toEqual({ kind: "agent", id: middle.id });
    expect(new Set(list.slice(1).map(({ id }) => id))).toEqual(new Set([child, ...leaves, another]));
    expect(list.map(({ id }) => id)).not.toContain(root);
    expect(claims).toMatchObject({ counts: { delegations: 4, agents: 1 }, reach_size: 5 });
    await verifyReach(claims, list);
    expect((await stop(top, "retired")).receipt.reach).toEqual({ delegations: 4, agents: 2 });
  });

  test("[REV-001] of a token lists the token", async () => {
    const token = newId("token", world.clock.nowMs, new Uint8Array(16));
    const { signed, ledger } = await revokeTokenById(world.deps, { caller: world.operator, token, context });
    const list = await listOf(await found(ledger.index));
    expect(list).toEqual([{ kind: "token", id: token }]);
    await verifyReach(await verified(signed), list);
  });

  test("[REV-001] of a user lists their agents and all that came from them or through those, whoever has them since", async () => {
    const bob = await world.user("Bob");
    const [his, hers, idle] = [
      await world.agent(bob),
      await world.agent(world.alice),
      await world.agent(bob),
    ];
    const theirs = await world.resource(`https://bob${world.clock.nowMs}.example`, bob, true);
    const resource = must(await findResource(world.db, organization, theirs.id)).audience;
    const own = await world.grant(bob, hers, { resource });
    const through = await world.grant(world.alice, his);
    const below = await world.passOn(his, through, hers);
    await world.grant(world.alice, hers);
    const request = { caller: world.operator, user: bob, context };
    const receipt = await offboardUser(world.deps, request);
    const revocation = await found(receipt.ledger.index);
    const list = await listOf(revocation);
    expect(list.slice(0, 3).map(({ kind, id }) => [kind, id])).toEqual([
      ["user", bob],
      ...[his.id, idle.id].sort().map((id) => ["agent", id]),
    ]);
    expect(new Set(list.slice(3).map(({ id }) => id))).toEqual(new Set([own, through, below]));
    const claims = await verified(receipt.signed);
    expect(claims).toMatchObject({ counts: { delegations: 3, agents: 3 }, reach_size: 6 });
    await verifyReach(claims, list);
    // Another owner, and delegations given to the agent since, change nothing of what ended then.
    await world.transfer(idle, world.alice);
    await world.grant(world.alice, idle);
    expect(await listOf(revocation)).toEqual(list);
  });

  test("[REV-001] of a token lists what was made by redeeming it", async () => {
    const target = `https://calendar${world.clock.nowMs}.example`;
    await world.resource(target, world.alice);
    const [first, second] = [await world.agent(world.alice), await world.agent(world.alice)];
    const onward = [{ agent: second.id, resource: must(parseAudience(target)), scope: ["mail.read"] }];
    const grant = await world.grant(world.alice, first, { onward });
    const { claims: ofToken } = await world.exchange(first, grant);
    const redeemed = await world.exchange(second, await sign(ofToken), {
      subjectTokenType: "urn:ietf:params:oauth:token-type:access_token",
      resource: target,
    });
    const token = must(parseId("token", ofToken.jti));
    const receipt = await revokeTokenById(world.deps, { caller: world.operator, token, context });
    const list = await listOf(await found(receipt.ledger.index));
    expect(list.map(({ kind, id }) => [kind, id])).toEqual([
      ["token", token],
      ["delegation", redeemed.claims.delegation],
    ]);
    await verifyReach(await verified(receipt.signed), list);
  });

  test("[REV-001] says the same when it is made again, though the agent was resumed and given more since", async () => {
    const { middle, bottom } = await makeTree();
    const { receipt } = await stop(middle, "suspended");
    await world.setStatus(middle, "active");
    const later = await world.grant(world.alice, middle);
    await world.passOn(middle, later, bottom);
    await world.revoke(later);
    world.clock.nowMs += 60_000;
    const revocation = await found(receipt.ledger.index);
    const again = await receiptOf(world.deps, revocation);
    const { iat, ...first } = await verified(receipt.signed);
    const { iat: madeAgain, ...second } = await verified(again.signed);
    expect(second).toEqual(first);
    expect(madeAgain).toBe(iat + 60);
    expect((await listOf(revocation)).map(({ id }) => id)).not.toContain(later);
  });

  test("[REV-001] can be asked for when it could not be made: the revocation stands", async () => {
    const { child, bottom, leaves } = await makeTree();
    const broken = { ...world.deps, listReach: () => Promise.reject(new Error("the database is gone")) };
    const revoking = revokeDelegation(broken, { caller: world.operator, delegation: child, context });
    await expect(revoking).rejects.toThrow("the database is gone");
    world.main.hot.invalidateAll();
    expect((await errorOf(world.exchange(bottom, must(leaves[0])))).code).toBe("invalid_delegation");
    const index = (await world.entries()).findLastIndex(({ type }) => type === "delegation.revoked");
    expect(await receiptOf(world.deps, await found(index))).toMatchObject({
      revoked: { kind: "delegation", id: child },
      reach: { delegations: 2, agents: 1 },
    });
  });
});

describe("the list of what was reached", () => {
  test("[REV-002] comes in pages that make the whole of it", async () => {
    const { middle } = await makeTree();
    const { receipt } = await stop(middle, "retired");
    const revocation = await found(receipt.ledger.index);
    for (const limit of [1, 2, 3, 50]) {
      const items: unknown[] = [];
      let cursor: string | undefined;
      do {
        const page = await pageOfReach(world.deps, revocation, { cursor, limit });
        items.push(...page.items);
        cursor = page.next;
      } while (cursor !== undefined);
      await verifyReach(await verified(receipt.signed), items);
    }
    for (const cursor of ["x", "dlg_1-dlg_2", "--"]) {
      const page = pageOfReach(world.deps, revocation, { cursor, limit: 2 });
      expect((await errorOf(page)).code).toBe("invalid_request");
    }
  });

  test("[REV-004] is shown beforehand, with what of it is live", async () => {
    const { top, middle, root, child, leaves } = await makeTree();
    const shown = (kind: "delegation" | "agent", id: string) =>
      previewReach(
        { ...world.deps, reachNow: (node, now) => reachNow(world.db, node, now) },
        { organization, kind, id },
      );
    const ends = world.clock.nowMs + 3_600_000;
    expect(await shown("delegation", root)).toMatchObject({
      counts: { delegations: 3, agents: 2 },
      live: { delegations: 4, agents: 3 },
      expiries: { soonestMs: ends, latestMs: ends },
    });
    expect(await shown("agent", middle.id)).toMatchObject({
      counts: { delegations: 3, agents: 1 },
      live: { delegations: 3, agents: 2 },
      items: [{ kind: "agent", id: middle.id }, {}, {}, {}],
    });
    await world.revoke(must(leaves[0]));
    expect(await shown("delegation", child)).toMatchObject({ live: { delegations: 2, agents: 2 } });
    await world.setStatus(top, "suspended");
    const rests = await shown("delegation", child);
    expect(rests).toMatchObject({
      counts: { delegations: 2, agents: 1 },
      live: { delegations: 0, agents: 0 },
    });
    expect(rests.expiries).toBeUndefined();
  });
});

describe("the revocations of an organization", () => {
  test("[REV-005] are told only as far as the published checkpoint covers them", async () => {
    const { root } = await makeTree();
    const { ledger } = await world.revoke(root);
    const told = async () =>
      (await listRevocations(world.db, organization, { after: -1, limit: 200 })).map(({ index }) => index);
    const publish = (size: number) =>
      world.db.prisma.log.update({ where: { id: logOf(organization) }, data: { publishedSize: size } });
    await publish(ledger.index);
    expect(await told()).not.toContain(ledger.index);
    await publish(ledger.index + 1);
    expect((await told()).at(-1)).toBe(ledger.index);
    await publish(0);
  });

  test("[ORG-001] and their lists are those of that organization only", async () => {
    const { root } = await makeTree();
    const { ledger } = await world.revoke(root);
    const foreign = (await world.makeOrganization("foreign")).organization;
    expect(await findRevocation(world.db, foreign, ledger.index)).toBeUndefined();
    expect(await listRevocations(world.db, foreign, { after: -1, limit: 200 })).toEqual([]);
    const revocation = await found(ledger.index);
    expect(await listOf({ ...revocation, organization: foreign })).toEqual([]);
  });
});
