import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import { parseId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { revokeToken, revokeTokenById } from "../../src/journeys/token/revoke.ts";
import { context, issuer, mail, sign } from "./server-process.ts";
import { errorOf, nameOf, openWorld, startAnotherProcess, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

/** A token of a two-hop chain. */
async function delegated() {
  const chain = await world.chain(world.alice, 2);
  const { claims } = await world.exchange(chain.presenter, chain.leaf);
  return { ...chain, claims, token: await sign(claims) };
}

describe("a client for itself", () => {
  test("[TOK-008] an operator gets what policy allows it on this server's API, without being asked to name it", async () => {
    const { claims, ledger } = await world.issue(world.operator);
    expect(claims).toMatchObject({
      sub: nameOf(world.operator),
      sub_profile: "service",
      client_id: nameOf(world.operator),
      aud: `${issuer}/v1`,
      scope: "admin audit evaluate revocations",
    });
    expect(claims).not.toHaveProperty("delegation");
    expect((await world.entries())[ledger.index]).toMatchObject({ type: "token.issued", jti: claims.jti });
  });

  test("[TOK-008] a resource gets what lets it report and follow revocations, and no more", async () => {
    const { claims } = await world.issue(world.mailbox);
    expect(claims).toMatchObject({
      sub: nameOf(world.mailbox),
      aud: `${issuer}/v1`,
      scope: "evaluate report revocations",
    });
  });

  test("[TOK-002] an agent for itself has no act claim", async () => {
    const agent = await world.agent(world.alice);
    const { claims } = await world.issue(agent, { scope: ["delegate"] });
    expect(claims).toMatchObject({ sub: nameOf(agent), sub_profile: "ai_agent", scope: "delegate" });
    expect(claims).not.toHaveProperty("act");
  });

  test("[TOK-008] what policy does not allow is refused and recorded, with the rule", async () => {
    const agent = await world.agent(world.alice);
    const api = `${issuer}/v1`;
    const codes = [
      await errorOf(world.issue(agent, { scope: ["admin"] })),
      await errorOf(world.issue(agent, { scope: ["admin", "delegate"] })),
      await errorOf(world.issue(agent, { resource: mail })),
      await errorOf(world.issue(world.operator, { scope: ["delegate"] })),
      await errorOf(world.issue(agent, { resource: api, scope: ["nonsense"] })),
      await errorOf(world.issue(agent, { resource: api, scope: [] })),
      await errorOf(world.issue(agent, { resource: "https://nowhere.example" })),
      await errorOf(world.issue(world.mailbox, { scope: ["admin", "revocations"] })),
      await errorOf(world.issue(world.mailbox, { resource: mail })),
    ].map(({ code }) => code);
    expect(codes).toEqual([
      "not_authorized",
      "not_authorized",
      "invalid_target",
      "not_authorized",
      "invalid_scope",
      "invalid_scope",
      "invalid_target",
      "not_authorized",
      "invalid_target",
    ]);
    const denied = (await world.entries()).filter(
      ({ agent: id, type }) => id === agent.id && type === "token.refused",
    );
    expect(denied[0]).toMatchObject({ decision: { effect: "deny", rule: "default-deny" }, resource: api });
  });

  test("[DEL-006] neither a suspended agent nor an agent of an offboarded owner gets a token", async () => {
    const bob = await world.user("Bob");
    const [one, two] = [await world.agent(world.alice), await world.agent(bob)];
    await Promise.all([world.issue(one), world.issue(two)]);
    await world.setStatus(one, "suspended");
    await world.offboard(bob);
    expect((await errorOf(world.issue(one))).code).toBe("subject_not_active");
    expect((await errorOf(world.issue(two))).code).toBe("subject_not_active");
  });
});

describe("introspection", () => {
  test("[TOK-005] tells the audience Resource and the token's own client, and nobody else", async () => {
    const { claims, token, presenter, agents } = await delegated();
    const other = await world.resource("https://calendar.example", world.alice);
    expect(await world.introspect(world.mailbox, token)).toEqual(claims);
    expect(await world.introspect(presenter, token)).toEqual(claims);
    for (const caller of [other, agents[0] ?? other, world.operator, await world.agent(world.alice)]) {
      expect(await world.introspect(caller, token)).toBeUndefined();
    }
    const own = (await world.issue(presenter)).claims;
    expect(await world.introspectClaims(presenter, own)).toEqual(own);
    expect(await world.introspectClaims(world.mailbox, own)).toBeUndefined();
  });

  test("[TOK-006] a token is inactive at once when any hop, agent or owner it rests on is ended", async () => {
    const ends = {
      root: ({ path }: Awaited<ReturnType<typeof delegated>>) =>
        world.revoke(path[0] ?? path[1] ?? ("" as never)),
      leaf: ({ leaf }: Awaited<ReturnType<typeof delegated>>) => world.revoke(leaf),
      presenter: ({ presenter }: Awaited<ReturnType<typeof delegated>>) =>
        world.setStatus(presenter, "suspended"),
      grantor: ({ agents }: Awaited<ReturnType<typeof delegated>>) =>
        world.setStatus(agents[0] ?? ("" as never), "retired"),
    };
    for (const end of Object.values(ends)) {
      const token = await delegated();
      expect(await world.introspect(world.mailbox, token.token)).toEqual(token.claims);
      await end(token);
      expect(await world.introspect(world.mailbox, token.token)).toBeUndefined();
      expect(await world.introspect(token.presenter, token.token)).toBeUndefined();
    }
    const agent = await world.agent(world.alice);
    const { claims } = await world.issue(agent);
    await world.setStatus(agent, "suspended");
    expect(await world.introspectClaims(agent, claims)).toBeUndefined();
  });

  test("[TOK-006] a signed token whose claims are not what the recorded path says is inactive", async () => {
    const { claims, presenter, agents } = await delegated();
    const bob = await world.user("Bob");
    const elsewhere = await delegated();
    const forged: Partial<AccessTokenClaims>[] = [
      { sub: bob },
      { act: undefined },
      { act: claims.act?.act as AccessTokenClaims["act"] },
      { act: elsewhere.claims.act },
      { delegation: elsewhere.leaf },
      { delegation_root: elsewhere.path[0] },
      { delegation: undefined, delegation_root: undefined },
      { aud: "https://calendar.example" },
      { org: "other" },
      { client_id: nameOf(agents[0] ?? presenter) },
    ];
    for (const change of forged) {
      for (const caller of [world.mailbox, presenter, ...agents]) {
        expect(await world.introspectClaims(caller, { ...claims, ...change })).toBeUndefined();
      }
    }
  });

  test("an expired, foreign or malformed token is inactive", async () => {
    const { claims, token } = await delegated();
    expect(await world.introspect(world.mailbox, `${token.slice(0, -8)}AAAAAAAA`)).toBeUndefined();
    expect(await world.introspect(world.mailbox, "nonsense")).toBeUndefined();
    world.clock.nowMs = claims.exp * 1000;
    expect(await world.introspect(world.mailbox, token)).toBeUndefined();
    world.clock.nowMs = claims.iat * 1000;
  });
});

describe("token revocation", () => {
  const revoke = (caller: Parameters<typeof world.introspect>[0], token: string) =>
    revokeToken(world.deps, { caller, token, context });

  test("[TOK-007] its own client revokes a token, which is inactive at once and recorded", async () => {
    const { presenter, token, claims } = await delegated();
    await revoke(presenter, token);
    expect(await world.introspect(world.mailbox, token)).toBeUndefined();
    expect((await world.entries()).at(-1)).toMatchObject({
      type: "token.revoked",
      jti: claims.jti,
      txn: claims.txn,
    });
    const entries = (await world.entries()).length;
    await revoke(presenter, token);
    await revoke(presenter, "nonsense");
    expect(await world.entries()).toHaveLength(entries);
  });

  test("[TOK-007] nobody else does: not the audience, not the grantor, not another agent", async () => {
    const { agents, token } = await delegated();
    for (const caller of [world.mailbox, agents[0] ?? world.mailbox, await world.agent(world.alice)]) {
      expect((await errorOf(revoke(caller, token))).code).toBe("invalid_request");
    }
    expect(await world.introspect(world.mailbox, token)).toBeDefined();
  });

  test("revoked by two at once it is revoked", async () => {
    const { presenter, token } = await delegated();
    await Promise.all([revoke(presenter, token), revoke(presenter, token), revoke(presenter, token)]);
    expect(await world.introspect(world.mailbox, token)).toBeUndefined();
  });

  test("[ORG-001] an operator revokes by jti in its own organization only, and can't forestall another's", async () => {
    const { claims, token } = await delegated();
    const jti = parseId("token", claims.jti);
    if (jti === undefined) throw new Error("no token id");
    const foreign = await world.makeOrganization("elsewhere");
    await revokeTokenById(world.deps, { caller: foreign, token: jti, context });
    expect(await world.introspect(world.mailbox, token)).toBeDefined();
    const { ledger } = await revokeTokenById(world.deps, { caller: world.operator, token: jti, context });
    expect(await world.introspect(world.mailbox, token)).toBeUndefined();
    expect((await world.entries())[ledger.index]).toMatchObject({ type: "token.revoked", jti });
  });
});

describe("a stale cache", () => {
  test("[TOK-009] lets nothing through, and is dropped when the commit says otherwise", async () => {
    const stale = await startAnotherProcess(world);
    const { agents, presenter, leaf } = await world.chain(world.alice, 2);
    const [grantor] = agents;
    if (grantor === undefined) throw new Error("no chain");
    const redeem = () => world.exchange(presenter, leaf, {}, stale);
    await redeem();
    // Nobody tells the other process of any change.
    await world.setStatus(grantor, "suspended");
    expect((await errorOf(redeem())).code).toBe("subject_not_active");
    expect((await world.entries()).at(-1)).toMatchObject({ type: "token.refused", agent: presenter.id });
    expect((await errorOf(redeem())).code).toBe("subject_not_active");
    await world.setStatus(grantor, "active");
    world.clock.nowMs += 1000;
    await redeem();
    await world.revoke(leaf);
    expect((await errorOf(redeem())).code).toBe("invalid_delegation");
    await stale.close();
  });

  test("[TOK-009] a delegation asked for before it was made is found once it is", async () => {
    const agent = await world.agent(world.alice);
    const handle = await world.grant(world.alice, agent);
    await world.db.prisma.delegation.update({ where: { id: handle }, data: { status: "revoked" } });
    await errorOf(world.exchange(agent, handle));
    await world.db.prisma.delegation.update({ where: { id: handle }, data: { status: "active" } });
    await world.exchange(agent, handle);
  });
});
