import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import { parseAudience } from "@countersign/sdk/model/audience";
import { parseId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { decideDelegation } from "../../src/journeys/delegation/decide-delegation.ts";
import type { DelegationTerms } from "../../src/journeys/delegation/new-delegation.ts";
import { grantQuestion } from "../../src/journeys/questions.ts";
import type { AppendEntry } from "../../src/ledger/append.ts";
import { failed } from "../ledger/ledger-fixture.ts";
import { issuer, mail, must, organization } from "./server-process.ts";
import { type AgentPrincipal, errorOf, nameOf, openWorld, startAnotherProcess, type World } from "./world.ts";

const calendar = must(parseAudience("https://calendar.example"));
let world: World;
beforeAll(async () => {
  world = await openWorld();
  await world.resource(calendar, world.alice);
});
afterAll(() => world.close());
beforeEach(() => world.main.hot.invalidateAll());

/** A token of an agent whose delegation lists a tool onward for the calendar. */
async function listed(terms: Partial<DelegationTerms> = {}) {
  const [agent, tool] = [await world.agent(world.alice), await world.agent(world.alice)];
  const onward = [{ agent: tool.id, resource: calendar, scope: ["mail.read"] }];
  const delegation = await world.grant(world.alice, agent, { onward, ...terms });
  const { claims } = await world.exchange(agent, delegation);
  return { agent, tool, delegation, claims };
}

const childrenOf = (claims: AccessTokenClaims) =>
  world.db.prisma.delegation.findMany({ where: { redeemedJti: claims.jti } });
const codeOf = (attempt: Promise<unknown>) => errorOf(attempt).then(({ code }) => code);

describe("an access token that is redeemed", () => {
  test("[ONW-002] gives the listed agent a token for the target, with the whole path in it", async () => {
    const { agent, tool, delegation, claims } = await listed();
    const redeemed = await world.redeem(tool, claims);
    const [child] = await childrenOf(claims);
    expect(redeemed.claims).toMatchObject({
      sub: world.alice,
      aud: calendar,
      client_id: nameOf(tool),
      scope: "mail.read",
      txn: claims.txn,
      exp: claims.exp,
      delegation: child?.id,
      delegation_root: delegation,
      act: { sub: nameOf(tool), act: { sub: nameOf(agent) } },
    });
    expect(redeemed.claims).not.toHaveProperty("may_act");
    expect(child).toMatchObject({
      parentId: delegation,
      path: [delegation, child?.id],
      grantorAgentId: agent.id,
      granteeAgentId: tool.id,
      scope: ["mail.read"],
      maxDepth: 14,
      onward: "[]",
      expiresAt: new Date(claims.exp * 1000),
    });
  });

  test("[ONW-003] records the delegation and the token, each in its entry, in the token's transaction", async () => {
    const { tool, delegation, claims } = await listed();
    const before = (await world.entries()).length;
    const redeemed = await world.redeem(tool, claims);
    const entries = (await world.entries()).slice(before);
    expect(entries).toMatchObject([
      {
        type: "delegation.created",
        actor: { kind: "agent", id: tool.id },
        owner: world.alice,
        subject: world.alice,
        path: [delegation, redeemed.claims.delegation],
        resource: calendar,
        txn: claims.txn,
        detail: { redeemed: claims.jti },
        decision: { effect: "allow", rule: "agent-exchanges-delegated" },
      },
      {
        type: "token.issued",
        delegation: redeemed.claims.delegation,
        jti: redeemed.claims.jti,
        txn: claims.txn,
      },
    ]);
    expect(redeemed.ledger.index).toBe(before + 1);
  });

  test("[ONW-002] gives no more than token, delegation and target have in common", async () => {
    const { tool, claims } = await listed();
    for (const scope of [["mail.send"], ["mail.read", "mail.send"]]) {
      expect(await codeOf(world.redeem(tool, claims, { scope }))).toBe("scope_widening");
    }
    const narrow = await listed();
    const token = await world.exchange(narrow.agent, narrow.delegation, { scope: ["mail.send"] });
    expect(await codeOf(world.redeem(narrow.tool, token.claims))).toBe("scope_widening");
    expect(await codeOf(world.redeem(tool, claims, { resource: mail }))).toBe("invalid_target");
    expect(await childrenOf(claims)).toHaveLength(0);
  });

  test("[ONW-002] carries the token's details, and not the delegation's wider ones", async () => {
    const details = [{ type: "tool_call", server: "files", tools: ["read_file"] }];
    const { tool, claims } = await listed({ authorizationDetails: details });
    expect((await world.redeem(tool, claims)).claims.authorization_details).toEqual(details);
  });

  test("[ONW-002] is passed on within its own target, but not redeemed once more", async () => {
    const { tool, claims } = await listed();
    const redeemed = (await world.redeem(tool, claims)).claims;
    const child = must((await childrenOf(claims))[0]);
    const third = await world.agent(world.alice);
    const passed = await world.passOn(tool, must(parseId("delegation", child.id)), third, {
      resource: calendar,
    });
    expect((await world.exchange(third, passed)).claims.aud).toBe(calendar);
    for (const client of [third, tool]) {
      expect(await codeOf(world.redeem(client, redeemed))).toBe("actor_unauthorized");
    }
  });

  test("[TOK-005] is introspected by the target like any other", async () => {
    const { tool, claims } = await listed();
    const redeemed = (await world.redeem(tool, claims)).claims;
    expect(await world.introspectClaims(tool, redeemed)).toEqual(redeemed);
    expect(await world.introspectClaims(world.mailbox, redeemed)).toBeUndefined();
  });
});

describe("repeats", () => {
  test("[ONW-003] find the delegation that is there, and get no more than it has", async () => {
    const { tool, claims } = await listed({ scope: ["mail.read", "mail.send"], onward: undefined });
    expect(await codeOf(world.redeem(tool, claims))).toBe("actor_unauthorized");
    const wide = await listedWide();
    const one = await world.redeem(wide.tool, wide.claims, { scope: ["mail.read"] });
    const two = await world.redeem(wide.tool, wide.claims);
    expect([two.claims.scope, two.claims.delegation]).toEqual(["mail.read", one.claims.delegation]);
    const wider = world.redeem(wide.tool, wide.claims, { scope: ["mail.read", "mail.send"] });
    expect(await codeOf(wider)).toBe("scope_widening");
    expect(await childrenOf(wide.claims)).toHaveLength(1);
  });

  test("[ONW-003] of which many happen at once in two processes make one delegation, and all get a token", async () => {
    const { tool, claims } = await listed();
    const other = await startAnotherProcess(world);
    const attempts = Array.from({ length: 20 }, (_, i) =>
      world.redeem(tool, claims, {}, i % 2 ? other : world.main),
    );
    const tokens = await Promise.all(attempts);
    const [child] = await childrenOf(claims);
    expect(new Set(tokens.map(({ claims: { delegation } }) => delegation))).toEqual(new Set([child?.id]));
    expect(new Set(tokens.map(({ claims: { jti } }) => jti)).size).toBe(20);
    const about = (await world.entries()).filter(({ txn }) => txn === claims.txn);
    expect(about.filter(({ type }) => type === "delegation.created")).toHaveLength(1);
    expect(about.filter(({ type }) => type.endsWith(".refused"))).toEqual([]);
    await other.close();
  });

  test("[ONW-003] by another agent, or for another resource, are a delegation each", async () => {
    const [agent, tool, other] = await Promise.all([1, 2, 3].map(() => world.agent(world.alice)));
    const onward = [must(tool), must(other)].flatMap(({ id }) =>
      [calendar, world.mailboxAudience].map((resource) => ({ agent: id, resource, scope: ["mail.read"] })),
    );
    const { claims } = await world.exchange(
      must(agent),
      await world.grant(world.alice, must(agent), { onward }),
    );
    expect(await codeOf(world.redeem(must(tool), claims))).toBe("invalid_target");
    for (const client of [must(tool), must(other)]) {
      for (const resource of [calendar, mail]) await world.redeem(client, claims, { resource });
    }
    expect(await childrenOf(claims)).toHaveLength(4);
  });

  test.each([
    [1, "before"],
    [1, "after"],
    [2, "before"],
    [2, "after"],
  ] as const)("[ONW-003] take up what died at commit %i, %s it was made", async (nth, when) => {
    const { tool, claims } = await listed({ budget: { tokens: 3 } });
    let commits = 0;
    const append: AppendEntry = async (log, request) => {
      commits++;
      const dies = commits === nth;
      if (dies && when === "before") throw new Error("died");
      const appended = await world.deps.append(log, request);
      if (dies) throw new Error("died");
      return appended;
    };
    const dying = { ...world.main, hotDeps: { ...world.hotDeps, append } };
    await expect(world.redeem(tool, claims, {}, dying)).rejects.toThrow("died");
    const again = world.redeem(tool, claims);
    // A token that was recorded and never handed out has been taken from the budget all the same.
    if (nth === 2 && when === "after") expect(await codeOf(again)).toBe("budget_exhausted");
    else expect((await again).claims.aud).toBe(calendar);
    expect(await childrenOf(claims)).toHaveLength(1);
  });
});

describe("a budget", () => {
  test("[ONW-010] gives up one token for each redemption, and what is not used returns", async () => {
    const { agent, tool, delegation, claims } = await listed({ budget: { tokens: 3 } });
    await world.redeem(tool, claims);
    expect(await codeOf(world.redeem(tool, claims))).toBe("budget_exhausted");
    const second = await world.exchange(agent, delegation);
    expect(await codeOf(world.redeem(tool, second.claims))).toBe("budget_exhausted");
    expect(await childrenOf(second.claims)).toHaveLength(0);
  });
});

describe("may_act", () => {
  test("[ONW-009] names the one agent that is listed, and nobody where two are", async () => {
    const { tool, claims } = await listed();
    expect(claims.may_act).toEqual({ iss: issuer, sub: nameOf(tool), sub_profile: "ai_agent" });
    expect(await world.introspectClaims(world.mailbox, claims)).toEqual(claims);
    const { may_act: _, ...silent } = claims;
    for (const forged of [silent, { ...claims, may_act: { sub: nameOf(world.operator) } }]) {
      expect(await world.introspectClaims(world.mailbox, forged)).toBeUndefined();
    }
    const two = await listedWide();
    const onward = [two.tool, two.agent].map(({ id }) => ({
      agent: id,
      resource: calendar,
      scope: ["mail.read"],
    }));
    const delegation = await world.grant(world.alice, two.agent, { onward });
    expect((await world.exchange(two.agent, delegation)).claims).not.toHaveProperty("may_act");
  });
});

describe("who is listed", () => {
  test("[ONW-007] at a root, for what policy lets the user grant there", async () => {
    const bob = await world.user("Bob");
    const foreign = must(parseAudience("https://bob.example"));
    const { id: retired } = await world.resource("https://retired.example", world.alice);
    await world.db.prisma.resource.update({ where: { id: retired }, data: { status: "retired" } });
    await world.resource(foreign, bob);
    const [agent, tool] = [await world.agent(world.alice), await world.agent(world.alice)];
    const list = (resource: string, to: AgentPrincipal = tool) =>
      world.grant(world.alice, agent, {
        onward: [{ agent: to.id, resource: must(parseAudience(resource)), scope: ["mail.read"] }],
      });
    expect(await codeOf(list(foreign))).toBe("not_authorized");
    expect(await codeOf(list("https://nobody.example"))).toBe("invalid_target");
    expect(await codeOf(list("https://retired.example"))).toBe("invalid_target");
    const unknown = { ...tool, id: must(parseId("agent", "agt_00000000010000000000000000")) };
    expect(await codeOf(list(calendar, unknown))).toBe("not_found");
    // A target that is not there is no answer of policy: it is not asked.
    const decide = () => failed("policy was asked");
    const grant = {
      scope: ["mail.read"],
      onward: [{ agent: unknown.id, resource: calendar, scope: ["mail.read"] }],
    };
    const mailbox = must(await world.deps.findResourceByAudience(organization, mail));
    expect(
      await decideDelegation({ ...world.deps, decide }, mailbox, grant, (about) =>
        grantQuestion(world.alice, about),
      ),
    ).toMatchObject({ effect: "no_target", refusal: { code: "not_found" } });
    const kept = await world.db.prisma.delegation.findUniqueOrThrow({
      where: { id: await list(`${calendar}/`) },
    });
    // As registered, however it was written.
    expect(JSON.parse(kept.onward)).toEqual([
      { agent: tool.id, resource: calendar, scope: ["mail.read"], tenure: 1 },
    ]);
  });

  test("[ONW-007] at a child, what the parent lists and no more, and nobody unless they are named again", async () => {
    const { agent, tool, delegation } = await listed();
    const third = await world.agent(world.alice);
    const onward = (id: AgentPrincipal) => [{ agent: id.id, resource: calendar, scope: ["mail.read"] }];
    expect(await codeOf(world.passOn(agent, delegation, third, { onward: onward(third) }))).toBe(
      "scope_widening",
    );
    const silent = await world.passOn(agent, delegation, third);
    const named = await world.passOn(agent, delegation, third, { onward: onward(tool) });
    const [without, withTool] = [await world.exchange(third, silent), await world.exchange(third, named)];
    expect(await codeOf(world.redeem(tool, without.claims))).toBe("actor_unauthorized");
    expect((await world.redeem(tool, withTool.claims)).claims.act).toMatchObject({
      sub: nameOf(tool),
      act: { sub: nameOf(third), act: { sub: nameOf(agent) } },
    });
  });
});

/** A token of an agent whose delegation lists a tool for all of its scope. */
async function listedWide() {
  const [agent, tool] = [await world.agent(world.alice), await world.agent(world.alice)];
  const onward = [{ agent: tool.id, resource: calendar, scope: ["mail.read", "mail.send"] }];
  const delegation = await world.grant(world.alice, agent, { onward });
  return { agent, tool, delegation, claims: (await world.exchange(agent, delegation)).claims };
}
