import { randomBytes } from "node:crypto";
import { type AccessTokenClaims, accessTokenType } from "@countersign/sdk/contract/access-token";
import { parseAudience } from "@countersign/sdk/model/audience";
import { type DelegationId, newId, parseId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { SignJWT } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { DelegationTerms } from "../../src/journeys/delegation/new-delegation.ts";
import { revokeTokenById } from "../../src/journeys/token/revoke.ts";
import { context, must, organization } from "../journeys/server-process.ts";
import {
  type AgentPrincipal,
  errorOf,
  openWorld,
  startAnotherProcess,
  type World,
} from "../journeys/world.ts";

const calendar = must(parseAudience("https://calendar.example"));
let world: World;
let calendarServer: Principal;
beforeAll(async () => {
  world = await openWorld();
  calendarServer = await world.resource(calendar, world.alice);
});
afterAll(() => world.close());
beforeEach(() => world.main.hot.invalidateAll());

async function listed(terms: Partial<DelegationTerms> = {}) {
  const [agent, tool] = [await world.agent(world.alice), await world.agent(world.alice)];
  const onward = [{ agent: tool.id, resource: calendar, scope: ["mail.read"] }];
  const delegation = await world.grant(world.alice, agent, { onward, ...terms });
  return { agent, tool, delegation, claims: (await world.exchange(agent, delegation)).claims };
}

const codeOf = (attempt: Promise<unknown>) => errorOf(attempt).then(({ code }) => code);
const told = (attempt: Promise<unknown>) =>
  errorOf(attempt).then(({ code, publicDetail }) => `${code}: ${publicDetail}`);
const childrenOf = ({ jti }: AccessTokenClaims) =>
  world.db.prisma.delegation.findMany({ where: { redeemedJti: jti } });
const idOf = ({ delegation }: AccessTokenClaims) => must(parseId("delegation", delegation ?? ""));
const revokeToken = async ({ jti, exp }: AccessTokenClaims) => {
  const at = { createdAt: new Date(world.clock.nowMs), expiresAt: new Date(exp * 1000) };
  await world.db.prisma.revokedToken.create({ data: { jti, organizationId: "default", ...at } });
};

describe("who is not listed", () => {
  test("[ONW-001] redeems nothing: not the audience, nor the target, the token's own client or an operator", async () => {
    const { agent, claims } = await listed();
    const stranger = await world.agent(world.alice);
    for (const client of [world.mailbox, calendarServer, agent, stranger, world.operator]) {
      expect(await codeOf(world.redeem(client, claims, { resource: calendar }))).toBe("actor_unauthorized");
      expect((await world.entries()).at(-1)).toMatchObject({
        type: "token.refused",
        actor: { id: client.id },
        refusal: { code: "actor_unauthorized" },
      });
    }
    expect(await childrenOf(claims)).toHaveLength(0);
  });

  test("[ONW-001] is not let in by another delegation that lists them, nor by the parent's list", async () => {
    const one = await listed();
    const other = await listed();
    expect(await codeOf(world.redeem(other.tool, one.claims))).toBe("actor_unauthorized");
    const child = await world.passOn(one.agent, one.delegation, other.agent);
    const { claims } = await world.exchange(other.agent, child);
    expect(await codeOf(world.redeem(one.tool, claims))).toBe("actor_unauthorized");
  });

  test("[VER-003] learns nothing of whether the token still is live", async () => {
    const { agent, delegation, claims } = await listed();
    const stranger = await world.agent(world.alice);
    const live = await told(world.redeem(stranger, claims));
    await revokeToken(claims);
    const revoked = await told(world.redeem(stranger, claims));
    const again = (await world.exchange(agent, delegation)).claims;
    await world.revoke(delegation);
    expect(new Set([live, revoked, await told(world.redeem(stranger, again))]).size).toBe(1);
  });

  test("[ONW-001] gets nothing by redeeming a token that another client has redeemed already", async () => {
    const { tool, claims } = await listed();
    await world.redeem(tool, claims);
    const stranger = await world.agent(world.alice);
    expect(await codeOf(world.redeem(stranger, claims))).toBe("actor_unauthorized");
    const [child] = await childrenOf(claims);
    expect(await codeOf(world.exchange(stranger, child?.id ?? ""))).toBe("invalid_delegation");
  });
});

describe("what happens between the look at a token and the commit", () => {
  test.each([false, true])(
    "[ONW-005] an agent above that was stopped meanwhile ends it, though it was resumed at once (redeemed before: %s)",
    async (redeemedBefore) => {
      const { agent, tool, claims } = await listed();
      if (redeemedBefore) await world.redeem(tool, claims);
      const liveTokenOf = async (presented: AccessTokenClaims) => {
        const live = await world.hotDeps.liveTokenOf(presented);
        await world.setStatus(agent, "suspended");
        await world.setStatus(agent, "active");
        return live;
      };
      const flickering = { ...world.main, hotDeps: { ...world.hotDeps, liveTokenOf } };
      const issued = async () => (await world.entries()).filter(({ type }) => type === "token.issued").length;
      const before = await issued();
      expect(await codeOf(world.redeem(tool, claims, {}, flickering))).toBe(
        redeemedBefore ? "invalid_delegation" : "subject_not_active",
      );
      expect([await issued(), (await childrenOf(claims)).length]).toEqual([before, redeemedBefore ? 1 : 0]);
    },
  );

  test("[ONW-003] a value that is taken elsewhere is a conflict, never a token that was redeemed already", async () => {
    const [one, other] = [await listed(), await listed()];
    const drawn: Buffer<ArrayBuffer>[] = [];
    const draw = (count: number) => {
      const bytes = randomBytes(count);
      drawn.push(bytes);
      return bytes;
    };
    const drawingFrom = (source: typeof draw) => ({
      ...world.main,
      hotDeps: { ...world.hotDeps, randomBytes: source },
    });
    await world.redeem(one.tool, one.claims, {}, drawingFrom(draw));
    // Of the same random bytes comes a delegation of the same id.
    const repeating = drawingFrom(() => must(drawn.shift()));
    expect(await codeOf(world.redeem(other.tool, other.claims, {}, repeating))).toBe("conflict");
    expect(await childrenOf(other.claims)).toHaveLength(0);
    expect((await world.entries()).at(-1)).toMatchObject({
      type: "token.refused",
      refusal: { code: "conflict" },
    });
  });
});

describe("a token that can't be redeemed", () => {
  test("[ONW-004] is told alike to the agent that is listed, whatever is wrong with it", async () => {
    const { tool, claims } = await listed();
    const revoked = await listed();
    await revokeToken(revoked.claims);
    const ended = await listed();
    await world.revoke(ended.delegation);
    const suspended = await listed();
    await world.setStatus(suspended.agent, "suspended");
    const resumed = await listed();
    await world.setStatus(resumed.agent, "suspended");
    await world.setStatus(resumed.agent, "active");
    const direct = (await world.issue(tool)).claims;
    const { privateKey } = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
      "sign",
    ]);
    const foreign = await new SignJWT({ ...claims })
      .setProtectedHeader({ alg: "ES256", typ: "at+jwt" })
      .sign(privateKey);
    const refusals = await Promise.all([
      told(world.redeem(revoked.tool, revoked.claims)),
      told(world.redeem(ended.tool, ended.claims)),
      told(world.redeem(suspended.tool, suspended.claims)),
      told(world.redeem(resumed.tool, resumed.claims)),
      told(world.redeem(tool, direct)),
      told(world.redeem(tool, { ...claims, exp: claims.iat })),
      told(world.redeem(tool, { ...claims, org: "other" })),
      told(world.redeem(tool, { ...claims, iss: "https://other.example" })),
      told(world.exchange(tool, foreign, { subjectTokenType: accessTokenType })),
      told(world.exchange(tool, "nonsense", { subjectTokenType: accessTokenType })),
      told(world.exchange(tool, claims.delegation ?? "", { subjectTokenType: accessTokenType })),
    ]);
    expect(new Set(refusals)).toEqual(
      new Set(["invalid_request: the subject_token is no live access token that can be redeemed"]),
    );
  });

  test("[ORG-001] is another organization's, even where the ids are the same", async () => {
    const { tool, claims } = await listed();
    const foreign = await world.makeOrganization("onward");
    const carol = await world.user("Carol", foreign);
    const agent = await world.agent(carol, foreign);
    const mirrored: AgentPrincipal = { ...tool, organization: foreign.organization };
    expect(await codeOf(world.redeem(agent, claims))).toBe("invalid_request");
    expect(await codeOf(world.redeem(mirrored, claims))).toBe("actor_unauthorized");
    expect(await codeOf(world.redeem(agent, { ...claims, org: foreign.organization }))).toBe(
      "invalid_request",
    );
    expect(await childrenOf(claims)).toHaveLength(0);
  });

  test("[TOK-002] says another path, subject, client, audience or root than is recorded", async () => {
    const { tool, claims } = await listed();
    const other = await listed();
    const bob = await world.user("Bob");
    const deeper = { ...claims.act, act: other.claims.act } as AccessTokenClaims["act"];
    const spliced: Partial<AccessTokenClaims>[] = [
      { act: other.claims.act },
      { act: deeper },
      { act: undefined },
      { sub: bob },
      { client_id: other.claims.client_id },
      { aud: calendar },
      { delegation_root: other.delegation },
      { may_act: undefined },
    ];
    for (const changes of spliced) {
      const { code } = await errorOf(world.redeem(tool, { ...claims, ...changes } as AccessTokenClaims));
      expect([Object.keys(changes), code]).toEqual([Object.keys(changes), "invalid_request"]);
    }
    // Of a delegation that does not list the client.
    const elsewhere = { ...claims, delegation: other.delegation, delegation_root: other.delegation };
    expect(await codeOf(world.redeem(tool, elsewhere))).toBe("actor_unauthorized");
  });

  test("[ONW-002] gives no more than the delegation, whatever it says itself", async () => {
    const { tool, claims } = await listed({ scope: ["mail.read"] });
    const wide = { ...claims, scope: "mail.read mail.send", exp: claims.iat + 86_400 };
    const redeemed = (await world.redeem(tool, wide)).claims;
    expect([redeemed.scope, redeemed.exp - redeemed.iat]).toEqual(["mail.read", 300]);
    expect(await codeOf(world.redeem(tool, wide, { scope: ["mail.send"] }))).toBe("scope_widening");
  });
});

describe("what was redeemed", () => {
  test("[ONW-005] ends with its token, its parents, their agents and every resource of the path", async () => {
    const ways: [string, (given: Awaited<ReturnType<typeof listed>>) => Promise<unknown>][] = [
      [
        "token",
        ({ claims }) =>
          revokeTokenById(world.deps, {
            caller: world.operator,
            token: must(parseId("token", claims.jti)),
            context,
          }),
      ],
      ["parent", ({ delegation }) => world.revoke(delegation)],
      ["agent above", ({ agent }) => world.setStatus(agent, "suspended")],
      ["own agent", ({ tool }) => world.setStatus(tool, "suspended")],
    ];
    for (const [way, end] of ways) {
      const given = await listed();
      const redeemed = (await world.redeem(given.tool, given.claims)).claims;
      const handle = idOf(redeemed);
      await world.exchange(given.tool, handle);
      expect([way, await world.introspectClaims(calendarServer, redeemed)]).toEqual([way, redeemed]);
      await end(given);
      expect([way, await world.introspectClaims(calendarServer, redeemed)]).toEqual([way, undefined]);
      await errorOf(world.exchange(given.tool, handle));
      await errorOf(world.redeem(given.tool, given.claims));
    }
  });

  test("[ONW-005] is counted in the receipt of its token, with all below", async () => {
    const { tool, claims } = await listed();
    const redeemed = (await world.redeem(tool, claims)).claims;
    const further = await world.agent(world.alice);
    await world.passOn(tool, idOf(redeemed), further, {
      resource: calendar,
    });
    const token = must(parseId("token", claims.jti));
    const { reach } = await revokeTokenById(world.deps, { caller: world.operator, token, context });
    expect(reach).toEqual({ delegations: 2, agents: 2 });
  });

  test("[ONW-005] ends with a resource above it, which is not its own", async () => {
    const mine = must(parseAudience("https://mine.example"));
    const { id } = await world.resource(mine, world.alice);
    const { tool, claims } = await listed({ resource: mine });
    const redeemed = (await world.redeem(tool, claims)).claims;
    await world.db.prisma.resource.update({ where: { id }, data: { status: "retired" } });
    expect(await codeOf(world.exchange(tool, idOf(redeemed)))).toBe("subject_not_active");
    expect(await world.introspectClaims(calendarServer, redeemed)).toBeUndefined();
  });

  test("[ONW-005] ends at the other replica, whose caches know of nothing", async () => {
    const other = await startAnotherProcess(world);
    const given = await listed();
    const redeemed = (await world.redeem(given.tool, given.claims, {}, other)).claims;
    await world.exchange(given.tool, idOf(redeemed), {}, other);
    await revokeTokenById(world.deps, {
      caller: world.operator,
      token: must(parseId("token", given.claims.jti)),
      context,
    });
    const handle = world.exchange(given.tool, idOf(redeemed), {}, other);
    expect(await codeOf(handle)).toBe("invalid_delegation");
    expect(await codeOf(world.redeem(given.tool, given.claims, {}, other))).toBe("invalid_request");
    const second = await listed();
    await world.redeem(second.tool, second.claims, {}, other);
    await world.revoke(second.delegation);
    expect(await codeOf(world.redeem(second.tool, second.claims, {}, other))).toBe("invalid_request");
    await other.close();
  });

  test("[TOK-003] is refused by the commit itself, whatever was read before", async () => {
    const ends: [string, (given: Awaited<ReturnType<typeof listed>>) => Promise<unknown>][] = [
      ["token", ({ claims }) => revokeToken(claims)],
      ["parent", ({ delegation }) => world.revoke(delegation)],
      ["agent above", ({ agent }) => world.setStatus(agent, "suspended")],
      ["own agent", ({ tool }) => world.setStatus(tool, "suspended")],
    ];
    for (const [what, end] of ends) {
      for (const isRepeat of [false, true]) {
        const given = await listed();
        const redeemed = isRepeat ? (await world.redeem(given.tool, given.claims)).claims : undefined;
        const live = await world.hotDeps.liveTokenOf(given.claims);
        const chain = redeemed && (await world.deps.findDelegationChain(organization, idOf(redeemed)));
        const stale = {
          ...world.main,
          hotDeps: {
            ...world.hotDeps,
            liveTokenOf: async () => live,
            findRedeemedChain: async () => chain,
          },
        };
        await end(given);
        const refused = await codeOf(world.redeem(given.tool, given.claims, {}, stale));
        const expected =
          what.endsWith("agent") || what.endsWith("above") ? "subject_not_active" : "invalid_delegation";
        expect([what, isRepeat, refused]).toEqual([what, isRepeat, expected]);
        expect((await world.entries()).at(-1)).toMatchObject({
          type: "token.refused",
          refusal: { code: expected },
        });
        expect(await childrenOf(given.claims)).toHaveLength(isRepeat ? 1 : 0);
      }
    }
  });

  test("[ONW-005] is not made anew after it was revoked", async () => {
    const { tool, claims } = await listed();
    const redeemed = (await world.redeem(tool, claims)).claims;
    await world.revoke(idOf(redeemed));
    expect(await codeOf(world.redeem(tool, claims))).toBe("invalid_delegation");
    expect(await childrenOf(claims)).toHaveLength(1);
  });
});

describe("a planted row", () => {
  /** Changes a delegation that was redeemed, as someone with the database in hand might. */
  async function changed(of: DelegationId, changes: Record<string, unknown>): Promise<DelegationId> {
    const sets = Object.keys(changes).map((column, i) => `${column} = $${i + 2}`);
    await world.db.prisma.$executeRawUnsafe(
      `UPDATE delegation SET ${sets.join(", ")} WHERE id = $1`,
      of,
      ...Object.values(changes),
    );
    world.main.hot.invalidateAll();
    return of;
  }

  test("[ONW-006] is no chain when its resource, agent or scope is not what its parent lists", async () => {
    const stranger = await world.agent(world.alice);
    const other = await world.resource("https://third.example", world.alice);
    const redeemedBy = async () => {
      const given = await listed();
      return {
        ...given,
        child: must(
          parseId("delegation", (await world.redeem(given.tool, given.claims)).claims.delegation ?? ""),
        ),
      };
    };
    const attempts: [string, Record<string, unknown>][] = [
      ["not redeemed", { redeemed_jti: null }],
      ["another resource", { resource_id: other.id }],
      ["the parent's resource", { resource_id: world.mailbox.id }],
      ["a wider scope", { scope: ["mail.read", "mail.send"] }],
      [
        "targets of its own",
        { onward: JSON.stringify([{ agent: stranger.id, resource: calendar, scope: ["mail.read"] }]) },
      ],
    ];
    for (const [name, changes] of attempts) {
      const { tool, child } = await redeemedBy();
      await world.exchange(tool, child);
      const code = await codeOf(world.exchange(tool, await changed(child, changes)));
      expect([name, code]).toEqual([name, "invalid_delegation"]);
    }
    const { child } = await redeemedBy();
    await changed(child, { grantee_agent_id: stranger.id });
    expect(await codeOf(world.exchange(stranger, child))).toBe("invalid_delegation");
  });

  test("[ONW-006] is no chain when a listed agent was passed the delegation, not redeemed for it", async () => {
    const { agent, tool, delegation } = await listed();
    const passed = await world.passOn(agent, delegation, tool);
    await world.exchange(tool, passed);
    await changed(passed, { resource_id: calendarServer.id });
    expect(await codeOf(world.exchange(tool, passed))).toBe("invalid_delegation");
    const root = await world.grant(world.alice, tool);
    const plantedRoot = changed(root, { redeemed_jti: newId("token", 0, randomBytes(16)) });
    await expect(plantedRoot).rejects.toThrow(/check/);
  });
});
