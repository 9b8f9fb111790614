import { hash } from "node:crypto";
import { accessTokenType, delegationTokenType } from "@countersign/sdk/contract/access-token";
import { canonicalJson, type JsonValue } from "@countersign/sdk/model/canonical-json";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decisionInputContext } from "../../src/journeys/decide-scopes.ts";
import { grantDelegation } from "../../src/journeys/delegation/grant.ts";
import { narrowDelegation } from "../../src/journeys/delegation/narrow.ts";
import { exchangeToken } from "../../src/journeys/token/exchange.ts";
import { issueToken } from "../../src/journeys/token/issue.ts";
import { context, issuer, mail } from "./server-process.ts";
import { errorOf, nameOf, openWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

describe("what is issued", () => {
  test("[TOK-001] the entry was committed before the token is returned, and holds the hash of its claims", async () => {
    const { presenter, leaf } = await world.chain(world.alice, 2);
    const { claims, ledger } = await world.exchange(presenter, leaf, { confirmation: { jkt: "thumb" } });
    const entry = (await world.entries())[ledger.index];
    expect(entry).toMatchObject({
      type: "token.issued",
      actor: { kind: "agent", id: presenter.id },
      agent: presenter.id,
      owner: world.alice,
      subject: world.alice,
      delegation: leaf,
      resource: mail,
      scope: ["mail.read"],
      jti: claims.jti,
      txn: claims.txn,
      request: "req-1",
      claims_hash: hash("sha256", canonicalJson(claims as JsonValue), "base64url"),
      decision: { effect: "allow", rule: "agent-exchanges-delegated" },
    });
  });

  test("[TOK-002] the act claim is the recorded path, the presenter outermost, at every depth", async () => {
    for (const hops of [1, 2, 5]) {
      const { agents, path, presenter, leaf } = await world.chain(world.alice, hops);
      const { claims } = await world.exchange(presenter, leaf);
      const named: unknown[] = [];
      for (let act: unknown = claims.act; act !== undefined; ) {
        const { iss, sub, sub_profile, act: older, ...rest } = act as Record<string, unknown>;
        expect({ iss, sub_profile, rest }).toEqual({ iss: issuer, sub_profile: "ai_agent", rest: {} });
        named.push(sub);
        act = older;
      }
      expect(named).toEqual(agents.map(nameOf).reverse());
      expect(claims).toMatchObject({
        iss: issuer,
        sub: world.alice,
        sub_profile: "user",
        aud: mail,
        client_id: nameOf(presenter),
        org: "default",
        delegation: leaf,
        delegation_root: path[0],
      });
    }
  });

  test("[LED-002] the decision's input is kept sealed by its salted hash", async () => {
    const { presenter, leaf } = await world.chain(world.alice, 1);
    const { ledger } = await world.exchange(presenter, leaf);
    const input = (await world.entries())[ledger.index]?.decision?.input ?? "";
    const row = await world.db.prisma.decisionInput.findUniqueOrThrow({ where: { hash: input } });
    const opened = await world.deps.sealer.open(row.dataKeyId, row.sealed, decisionInputContext(input));
    expect(hash("sha256", opened, "base64url")).toBe(input);
    const { salt, requests } = JSON.parse(Buffer.from(opened).toString());
    expect(Buffer.from(salt, "base64url")).toHaveLength(16);
    expect(requests).toMatchObject([{ scope: "mail.read", relation: "delegated" }, { scope: "mail.send" }]);
  });

  test("[TOK-004] scope defaults to all of the delegation's, and may be less", async () => {
    const { presenter, leaf } = await world.chain(world.alice, 1);
    expect((await world.exchange(presenter, leaf)).claims.scope).toBe("mail.read mail.send");
    expect((await world.exchange(presenter, leaf, { scope: ["mail.send"] })).claims.scope).toBe("mail.send");
  });

  test("[TOK-004] a token lives 5 minutes, and never longer than its delegation", async () => {
    const agent = await world.agent(world.alice);
    const { nowMs } = world.clock;
    const long = await world.exchange(agent, await world.grant(world.alice, agent));
    expect(long.claims.exp - long.claims.iat).toBe(300);
    const brief = await world.grant(world.alice, agent, { expiresAtMs: nowMs + 90_500 });
    expect((await world.exchange(agent, brief)).claims.exp).toBe(Math.floor((nowMs + 90_500) / 1000));
    const momentary = await world.grant(world.alice, agent, { expiresAtMs: nowMs + 500 });
    expect((await errorOf(world.exchange(agent, momentary))).code).toBe("invalid_delegation");
  });

  test("the resource may be named in either spelling of an origin; the token has the registered one", async () => {
    const { presenter, leaf } = await world.chain(world.alice, 1);
    expect((await world.exchange(presenter, leaf, { resource: `${mail}/` })).claims.aud).toBe(mail);
  });
});

describe("what is refused", () => {
  test("[LED-001] what needs an approval is refused and recorded as such: nobody can be asked yet", async () => {
    const { presenter, leaf } = await world.chain(world.alice, 1);
    const decide: typeof world.deps.decide = (request) => ({
      ...world.deps.decide(request),
      ...(request.scope === "mail.send" && { effect: "needs_approval", rule: "ask-first" }),
    });
    const deps = { ...world.hotDeps, decide };
    const scope = ["mail.send"];
    const terms = { toAgent: presenter.id, resource: mail, scope };
    const redeemed = {
      client: presenter,
      subjectToken: leaf,
      subjectTokenType: delegationTokenType,
      context,
    } as const;
    const attempts = [
      () => exchangeToken(deps, { ...redeemed, scope: ["mail.read", "mail.send"] }),
      () => narrowDelegation(deps, { caller: presenter, parent: leaf, terms, context }),
      () => grantDelegation(deps, { caller: world.operator, fromUser: world.alice, terms, context }),
      () => issueToken(deps, { client: presenter, resource: mail, scope, context }),
    ];
    for (const attempt of attempts) {
      const { code, publicDetail } = await errorOf(attempt());
      expect([code, publicDetail]).toEqual(["not_authorized", "policy does not allow: mail.send"]);
      expect((await world.entries()).at(-1)).toMatchObject({
        refusal: { code: "not_authorized" },
        decision: { effect: "needs_approval", rule: "ask-first" },
      });
    }
  });

  test("[TOK-004] another resource and a wider or empty scope are refused, with their entries", async () => {
    const { presenter, leaf } = await world.chain(world.alice, 2);
    const outcomes = {
      target: await errorOf(world.exchange(presenter, leaf, { resource: "https://other.example" })),
      wider: await errorOf(world.exchange(presenter, leaf, { scope: ["mail.read", "mail.send"] })),
    };
    expect([outcomes.target.code, outcomes.wider.code]).toEqual(["invalid_target", "scope_widening"]);
    expect((await errorOf(world.exchange(presenter, leaf, { scope: [] }))).code).toBe("scope_widening");
    const refused = (await world.entries()).filter(({ delegation }) => delegation === leaf).slice(1);
    expect(refused).toMatchObject([
      { type: "token.refused", refusal: { code: "invalid_target" }, path: { length: 2 }, resource: mail },
      { type: "token.refused", refusal: { code: "scope_widening" } },
    ]);
  });

  test("[LED-001] a handle that is called an access token is refused and recorded", async () => {
    const { presenter, leaf } = await world.chain(world.alice, 1);
    const attempt = world.exchange(presenter, leaf, { subjectTokenType: accessTokenType });
    expect((await errorOf(attempt)).code).toBe("invalid_request");
    const [entry] = (await world.entries()).slice(-1);
    expect(entry).toMatchObject({
      type: "token.refused",
      actor: { id: presenter.id },
      refusal: { code: "invalid_request" },
    });
  });

  test("an expired delegation is refused to its grantee", async () => {
    const agent = await world.agent(world.alice);
    const delegation = await world.grant(world.alice, agent, { expiresAtMs: world.clock.nowMs + 1000 });
    await world.exchange(agent, delegation);
    world.clock.nowMs += 1000;
    const refused = await errorOf(world.exchange(agent, delegation));
    world.clock.nowMs -= 1000;
    expect(refused.code).toBe("invalid_delegation");
  });

  test("[LED-003] repeats of one refusal become one counted entry per interval", async () => {
    const { presenter, leaf } = await world.chain(world.alice, 2);
    const before = (await world.entries()).length;
    for (let time = 0; time < 20; time++)
      await errorOf(world.exchange(presenter, leaf, { scope: ["mail.send"] }));
    expect(await world.entries()).toHaveLength(before + 1);
    await world.main.refusals.flush("due");
    expect(await world.entries()).toHaveLength(before + 1);
    world.clock.nowMs += 60_000;
    await world.main.refusals.flush("due");
    world.clock.nowMs -= 60_000;
    const added = (await world.entries()).slice(before);
    expect(added.filter(({ delegation }) => delegation === leaf).map(({ count }) => count)).toEqual([
      undefined,
      19,
    ]);
  });
});
