import { hash } from "node:crypto";
import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import { claimsHash } from "@countersign/sdk/contract/claims-hash";
import { parseId } from "@countersign/sdk/model/ids";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { authorizeAction } from "../../src/journeys/action/authorize.ts";
import { reportAction } from "../../src/journeys/action/report.ts";
import { decisionInputContext } from "../../src/journeys/decide-scopes.ts";
import { onceWrite } from "../../src/journeys/idempotency/repeats.ts";
import { revokeTokenById } from "../../src/journeys/token/revoke.ts";
import { type Acting, type ActingAgent, openActing, type Signer } from "./acting.ts";
import { context, mail, must } from "./server-process.ts";
import { errorOf, nameOf, openWorld, startAnotherProcess, type World } from "./world.ts";

let world: World;
let acting: Acting;
let mailbox: Signer;
const drive = "https://drive.example";
beforeAll(async () => {
  world = await openWorld();
  acting = openActing(world);
  mailbox = await acting.resource(drive);
});
afterAll(() => world.close());
beforeEach(() => world.main.hot.invalidateAll());

/** An agent with Alice's delegation and a token of it. */
async function armed(terms: Parameters<World["grant"]>[2] = {}) {
  const agent = await acting.agent();
  const delegation = await world.grant(world.alice, agent.principal, terms);
  return { agent, delegation, claims: await acting.redeem(agent, delegation) };
}
const tokenIdOf = ({ jti }: AccessTokenClaims) => must(parseId("token", jti));
const revokeToken = (claims: AccessTokenClaims) =>
  revokeTokenById(world.deps, { caller: world.operator, token: tokenIdOf(claims), context });
const last = async () => must((await world.entries()).at(-1));
const readFile = (path: string) => ({ server: "files", tool: "read_file", arguments: { path } });
const inData = [
  { type: "tool_call", server: "files", tools: ["read_file"], arguments: { path: { prefix: "/data" } } },
];

describe("to authorize an action", () => {
  test("[ACT-001] is recorded before it is answered, with all that it rests on and no argument", async () => {
    const { agent, delegation, claims } = await armed({ authorizationDetails: inData });
    const answer = await acting.allowed(agent, claims, { call: readFile("/data/secret-name") });
    const entry = (await world.entries())[answer.ledger.index];
    const accessTokenHash = { arguments_hash: expect.stringMatching(/^[\w-]{43}$/) };
    expect(entry).toMatchObject({
      type: "action.authorized",
      actor: { kind: "agent", id: agent.principal.id },
      agent: agent.principal.id,
      owner: world.alice,
      subject: world.alice,
      delegation,
      path: [delegation],
      resource: mail,
      scope: ["mail.read"],
      action: "read_inbox",
      tool: "read_file",
      jti: claims.jti,
      txn: claims.txn,
      decision: { effect: "allow", rule: "agent-acts-delegated", policy: answer.policy },
      detail: { action_id: answer.action, server: "files", ...accessTokenHash },
    });
    expect(JSON.stringify(entry)).not.toContain("secret-name");
    expect(await acting.accounted(answer.action)).toMatchObject({
      action: { id: answer.action, ledger: answer.ledger, delegation, resource: mail },
      claimed: undefined,
      witnessed: undefined,
    });
  });

  test("[ACT-001] its arguments are sealed with the decision's input, and nowhere else", async () => {
    const { agent, claims } = await armed({ authorizationDetails: inData });
    await acting.allowed(agent, claims, { call: readFile("/data/secret-name") });
    const input = (await last()).decision?.input ?? "";
    const row = await world.db.prisma.decisionInput.findUniqueOrThrow({ where: { hash: input } });
    const opened = await world.deps.sealer.open(row.dataKeyId, row.sealed, decisionInputContext(input));
    expect(hash("sha256", opened, "base64url")).toBe(input);
    expect(JSON.parse(Buffer.from(opened).toString()).call).toEqual({
      action: "read_inbox",
      tool_call: readFile("/data/secret-name"),
    });
  });

  test("[ACT-001] an agent that acts in its own right needs no delegation", async () => {
    const agent = await acting.agent();
    const { claims } = await world.issue(agent.principal, { scope: ["delegate"] });
    const { rule } = await acting.allowed(agent, claims, { scope: ["delegate"] });
    expect(rule).toBe("agent-acts-direct");
    expect(await last()).not.toHaveProperty("delegation");
  });

  test("[ACT-002] a no is an answer with a code, and has its entry: scope, details, policy", async () => {
    const { agent, claims } = await armed({ authorizationDetails: inData, scope: ["mail.read"] });
    const asks = [
      { scope: ["mail.read", "mail.send"] },
      {},
      { call: readFile("/etc/passwd") },
      { call: { ...readFile("/data/x"), tool: "delete_file" } },
      { call: { server: "files", tool: "read_file", argumentsHash: "A".repeat(43) } },
    ];
    const answers = [];
    for (const ask of asks) answers.push(await acting.authorize(agent, claims, ask));
    expect(answers.map((answer) => [answer.decision, "code" in answer && answer.code])).toEqual([
      ["deny", "insufficient_scope"],
      ...Array(4).fill(["deny", "outside_details"]),
    ]);
    const refusals = async () =>
      (await world.entries()).filter(({ type, jti }) => type === "action.refused" && jti === claims.jti);
    const entries = await refusals();
    expect(entries).toMatchObject([
      { action: "read_inbox", scope: ["mail.read", "mail.send"], refusal: { code: "insufficient_scope" } },
      ...Array(4).fill({ refusal: { code: "outside_details" } }),
    ]);
    // None of them hides another, and only the very same is a repeat.
    for (const ask of asks) await acting.authorize(agent, claims, ask);
    await acting.authorize(agent, claims, { call: readFile("/etc/shadow") });
    expect(await refusals()).toHaveLength(entries.length + 1);
    expect(await world.db.prisma.action.count({ where: { jti: claims.jti } })).toBe(0);
  });

  test("[ACT-002] what the policy denies, or wants an approval for, is told with its rule", async () => {
    const { agent, claims } = await armed();
    const asked = await acting.requestOf(agent, claims);
    for (const effect of ["deny", "needs_approval"] as const) {
      const decide: typeof world.deps.decide = (question) => ({
        ...world.deps.decide(question),
        effect,
        rule: "by-rule",
      });
      expect(await authorizeAction({ ...acting.deps, decide }, asked)).toMatchObject({
        decision: effect,
        code: "not_authorized",
        rule: "by-rule",
      });
    }
  });

  test("[ACT-003] a token that rests on something ended is dead: recorded, and nothing is authorized", async () => {
    const ends: readonly ((at: Awaited<ReturnType<typeof armed>>) => Promise<unknown>)[] = [
      ({ delegation }) => world.revoke(delegation),
      ({ agent }) => world.setStatus(agent.principal, "suspended"),
      async ({ agent }) => {
        await world.setStatus(agent.principal, "suspended");
        await world.setStatus(agent.principal, "active");
      },
      ({ claims }) => revokeToken(claims),
    ];
    for (const end of ends) {
      const one = await armed();
      await acting.allowed(one.agent, one.claims);
      await end(one);
      // Once by what is cached, once by what is read.
      for (const forget of [() => undefined, () => world.main.hot.invalidateAll()]) {
        forget();
        expect((await errorOf(acting.authorize(one.agent, one.claims))).code).toBe("invalid_token");
      }
      const entries = (await world.entries()).filter(({ jti }) => jti === one.claims.jti);
      expect(entries.at(-1)).toMatchObject({ type: "action.refused", agent: one.agent.principal.id });
    }
  });

  test("[ACT-003] what was issued before a transfer authorizes nothing", async () => {
    const one = await armed();
    await world.transfer(one.agent.principal, await world.user("Bob"));
    expect((await errorOf(acting.authorize(one.agent, one.claims))).code).toBe("invalid_token");
    world.main.hot.invalidateAll();
    expect((await errorOf(acting.authorize(one.agent, one.claims))).code).toBe("invalid_token");
  });

  test("[SES-001] under a second session's delegation no action is done in a transaction of the first", async () => {
    const [first, second] = [await armed({ session: "one" }), await armed({ session: "two" })];
    await acting.allowed(first.agent, first.claims);
    const mixed = { ...second.claims, txn: first.claims.txn };
    expect(await acting.authorize(second.agent, mixed)).toMatchObject({
      decision: "deny",
      code: "session_mismatch",
    });
    await acting.allowed(second.agent, second.claims);
  });

  test("[ACT-003] an expired token authorizes nothing", async () => {
    const { agent, claims } = await armed();
    world.clock.nowMs += 300_000;
    const { code } = await errorOf(acting.authorize(agent, claims));
    world.clock.nowMs -= 300_000;
    expect(code).toBe("invalid_token");
  });

  test("[ACT-003] a revocation that another process committed is obeyed by one that has not heard of it", async () => {
    const { agent, delegation, claims } = await armed();
    const other = await startAnotherProcess(world);
    await acting.allowed(agent, claims, {}, other);
    await world.revoke(delegation);
    expect((await errorOf(acting.authorize(agent, claims, {}, other))).code).toBe("invalid_token");
    await other.close();
  });

  test("[ACT-004] when it can't be recorded there is no yes, before or after the commit", async () => {
    const { agent, claims, delegation } = await armed({ budget: { calls: 2, tokens: 5 } });
    const asked = await acting.requestOf(agent, claims);
    for (const when of ["before", "after"]) {
      const append: typeof world.deps.append = async (log, request) => {
        if (when === "after") await world.deps.append(log, request);
        throw new Error("killed");
      };
      await expect(authorizeAction({ ...acting.deps, append }, asked)).rejects.toThrow("killed");
    }
    // What was committed and never told is granted, and nobody will have reported it.
    expect(await world.db.prisma.action.count({ where: { delegationId: delegation } })).toBe(1);
    expect(await acting.allowed(agent, claims)).toMatchObject({ callsLeft: 0 });
  });
});

describe("a report", () => {
  async function authorized(
    terms: Parameters<World["grant"]>[2] = {},
    ask: Parameters<Acting["allowed"]>[2] = {},
  ) {
    const one = await armed(terms);
    const answer = await acting.allowed(one.agent, one.claims, ask);
    return { ...one, action: answer.action };
  }

  test("[ACT-005] by the agent is a claim: signed, recorded with the hash of its claims, and kept as signed", async () => {
    const { agent, delegation, claims, action } = await authorized();
    const more = { action_id: action, cost: { amount: "0.02", unit: "USD" }, result_hash: "r".repeat(43) };
    const jws = await acting.signReport(agent, acting.deed(more));
    const answer = await acting.send(agent.principal, jws);
    expect(answer).toMatchObject({ reporter: "agent", standing: "as_granted" });
    expect((await world.entries())[answer.ledger.index]).toMatchObject({
      type: "action.reported",
      actor: { kind: "agent", id: agent.principal.id },
      delegation,
      path: [delegation],
      resource: mail,
      action: "read_inbox",
      jti: claims.jti,
      txn: claims.txn,
      cost: more.cost,
      claims_hash: claimsHash(decodeJwt(jws)),
      detail: { reporter: "claimed", standing: "as_granted", outcome: "succeeded", action_id: action },
    });
    const { claimed, witnessed } = await acting.accounted(action);
    expect(claimed).toMatchObject({ jws, ledger: answer.ledger });
    expect(witnessed).toBeUndefined();
  });

  test("[ACT-006] by the resource is a witness: it names the action, or only the token that it saw", async () => {
    const agent = await acting.agent();
    const delegation = await world.grant(world.alice, agent.principal, { resource: drive });
    const claims = await acting.redeem(agent, delegation);
    const [first, second] = [await acting.allowed(agent, claims), await acting.allowed(agent, claims)];
    const seen = { resource: drive, agent: nameOf(agent.principal) };
    const answers = [
      await acting.report(mailbox, { ...seen, action_id: second.action }),
      await acting.report(mailbox, { ...seen, jti: tokenIdOf(claims) }),
      // Two were granted: a third one is none of them.
      await acting.report(mailbox, { ...seen, jti: tokenIdOf(claims) }),
    ];
    expect(answers.map(({ reporter, standing }) => `${reporter} ${standing}`)).toEqual([
      "resource as_granted",
      "resource as_granted",
      "resource unauthorized",
    ]);
    const places = await Promise.all(
      [second, first].map(async ({ action }) => (await acting.accounted(action)).witnessed?.ledger),
    );
    expect(places).toEqual(answers.slice(0, 2).map(({ ledger }) => ledger));
    expect((await world.entries())[answers[0]?.ledger.index ?? -1]).toMatchObject({
      actor: { kind: "resource", id: mailbox.principal.id },
      agent: agent.principal.id,
      owner: world.alice,
      delegation,
      detail: { reporter: "witnessed" },
    });
  });

  const seen = (agent: ActingAgent, claims: AccessTokenClaims) => ({
    resource: drive,
    agent: nameOf(agent.principal),
    jti: tokenIdOf(claims),
  });

  test("[ACT-006] is booked on who owned the agent when it was granted, not on whom it was transferred to since", async () => {
    const { agent, delegation, claims } = await armed({ resource: drive });
    const own = await world.issue(agent.principal, { scope: ["delegate"] });
    const [given, direct] = [
      await acting.allowed(agent, claims),
      await acting.allowed(agent, own.claims, { scope: ["delegate"] }),
    ];
    await world.transfer(agent.principal, await world.user("Bob"));
    world.main.hot.invalidateAll();
    const { ledger } = await acting.report(mailbox, { ...seen(agent, claims), action_id: given.action });
    expect((await world.entries())[ledger.index]).toMatchObject({
      owner: world.alice,
      subject: world.alice,
      delegation,
      path: [delegation],
      detail: { standing: "as_granted" },
    });
    const claimed = { action_id: direct.action, resource: own.claims.aud, scope: ["delegate"] };
    await acting.report(agent, claimed);
    expect(await last()).toMatchObject({ owner: world.alice, detail: { standing: "as_granted" } });
    expect(await last()).not.toHaveProperty("subject");
  });

  test("[ACT-006] of equal actions under one token, witnessed at once, each is accounted for", async () => {
    const { agent, claims } = await armed({ resource: drive });
    const granted = await Promise.all(Array.from({ length: 20 }, () => acting.allowed(agent, claims)));
    const other = await startAnotherProcess(world);
    const jws = await Promise.all(
      granted.map(() => acting.signReport(mailbox, acting.deed(seen(agent, claims)))),
    );
    const answers = await Promise.all(
      jws.map((one, i) => acting.send(mailbox.principal, one, i % 2 ? other : world.main)),
    );
    expect(answers.map(({ standing }) => standing)).toEqual(granted.map(() => "as_granted"));
    expect(await acting.sumsOf(agent)).toMatchObject({ granted: 20, witnessed: 20, outOfScope: 0 });
    await other.close();
  });

  test("[ACT-006] the last of many actions under one token is found, and of what differs the nearest", async () => {
    const { agent, claims } = await armed({ resource: drive });
    const names = Array.from({ length: 150 }, (_, i) => `action-${i}`);
    const granted = await Promise.all(names.map((action) => acting.allowed(agent, claims, { action })));
    const at = { ...seen(agent, claims), resource: `${drive}/`, action: "action-149" };
    expect((await acting.report(mailbox, at)).standing).toBe("as_granted");
    const { witnessed } = await acting.accounted(must(granted[149]).action);
    expect(witnessed?.standing).toBe("as_granted");
    const beyond = { ...at, action: "action-77", scope: ["mail.read", "mail.send"] };
    expect((await acting.report(mailbox, beyond)).standing).toBe("out_of_scope");
    expect((await last()).detail).toMatchObject({ action_id: granted[77]?.action, differs: ["scope"] });
  });

  test.each([
    ["scope", { scope: ["mail.send"] }],
    ["action", { action: "delete_inbox" }],
    ["resource", { resource: "https://elsewhere.example" }],
    ["tool", { tool_call: { server: "files", tool: "write_file", arguments_hash: "a".repeat(43) } }],
  ])("[ACT-007] of what was not granted so is recorded as out of scope: another %s", async (name, told) => {
    const { agent, action } = await authorized();
    const answer = await acting.report(agent, { action_id: action, ...told });
    expect(answer.standing).toBe("out_of_scope");
    const entry = await last();
    expect(entry).toMatchObject({ type: "action.reported", detail: { standing: "out_of_scope" } });
    expect(entry.detail?.["differs"]).toContain(name);
  });

  test("[ACT-007] arguments are compared by their hash, which only who has the token can make", async () => {
    const call = readFile("/data/a");
    const { agent, claims, action } = await authorized({}, { call, accessToken: "the-token" });
    const { action: other } = await acting.allowed(agent, claims, { call, accessToken: "the-token" });
    const tool_call = (path: string, token: string) => ({
      server: "files",
      tool: "read_file",
      arguments_hash: acting.hashOf({ path }, token),
    });
    const told = [
      { action_id: action, tool_call: tool_call("/data/a", "the-token") },
      { action_id: other, tool_call: tool_call("/data/b", "the-token") },
    ];
    const standings = [];
    for (const one of told) standings.push((await acting.report(agent, one)).standing);
    expect(standings).toEqual(["as_granted", "out_of_scope"]);
    expect(tool_call("/data/a", "another")).not.toEqual(tool_call("/data/a", "the-token"));
  });

  test("[ACT-007] of what nobody granted is recorded as unauthorized, never dropped", async () => {
    const { agent, delegation } = await armed();
    const another = await authorized();
    const told = [{}, { delegation }, { action_id: another.action }, { jti: tokenIdOf(another.claims) }];
    for (const one of told) expect((await acting.report(agent, one)).standing).toBe("unauthorized");
    expect(await acting.reportsOf(agent)).toHaveLength(4);
    const ofDelegation = await world.db.prisma.actionReport.count({ where: { delegationId: delegation } });
    expect(ofDelegation).toBe(1);
    expect((await acting.accounted(another.action)).claimed).toBeUndefined();
  });

  test("[ACT-008] sent again is answered with the place of the first, by every process and at once", async () => {
    const { agent, action } = await authorized();
    const jws = await acting.signReport(agent, acting.deed({ action_id: action }));
    const other = await startAnotherProcess(world);
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) => acting.send(agent.principal, jws, i % 2 ? other : world.main)),
    );
    expect(new Set(answers.map(({ ledger }) => ledger.index)).size).toBe(1);
    expect(await acting.reportsOf(agent)).toHaveLength(1);
    await other.close();
  });

  test("[ACT-008] a second account of one action by the same reporter is refused, and recorded", async () => {
    const { agent, action } = await authorized();
    await acting.report(agent, { action_id: action });
    const { code } = await errorOf(acting.report(agent, { action_id: action, outcome: "failed" }));
    expect(code).toBe("conflict");
    expect(await last()).toMatchObject({ type: "action.refused", refusal: { code: "conflict" } });
    expect((await acting.accounted(action)).claimed?.outcome).toBe("succeeded");
  });

  test("[ACT-008] under an idempotency key that another request has taken is told so, and is no second account", async () => {
    const { agent, action } = await authorized();
    const { organization, id: principal } = agent.principal;
    const keyed = { organization, principal, key: "taken", requestHash: "hash", keepsAnswer: true };
    const demands = { writes: [onceWrite(world.deps, keyed)], conditions: [] };
    const send = async (action_id?: typeof action) => {
      const report = await acting.signReport(agent, acting.deed(action_id && { action_id }));
      return reportAction(acting.deps, { caller: agent.principal, report, context: { ...context, demands } });
    };
    await send();
    expect((await errorOf(send(action))).code).toBe("idempotency_key_in_use");
    expect((await last()).type).toBe("action.reported");
    expect((await acting.accounted(action)).claimed).toBeUndefined();
  });

  test("[ACT-008] of two accounts of one action at once one is taken", async () => {
    const { agent, action } = await authorized();
    const outcomes = ["succeeded", "failed", "unknown"] as const;
    const results = await Promise.allSettled(
      outcomes.map((outcome) => acting.report(agent, { action_id: action, outcome })),
    );
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await acting.reportsOf(agent)).toHaveLength(1);
  });

  test("[ACT-008] repeated after a crash around its commit it is recorded once", async () => {
    for (const when of ["before", "after"]) {
      const { agent, action } = await authorized();
      const jws = await acting.signReport(agent, acting.deed({ action_id: action }));
      const append: typeof world.deps.append = async (log, request) => {
        if (when === "after") await world.deps.append(log, request);
        throw new Error("killed");
      };
      const request = { caller: agent.principal, report: jws, context };
      await expect(reportAction({ ...acting.deps, append }, request)).rejects.toThrow("killed");
      expect((await acting.send(agent.principal, jws)).standing).toBe("as_granted");
      expect(await acting.reportsOf(agent)).toHaveLength(1);
    }
  });

  test("[ACT-009] what is granted, claimed, witnessed and unaccounted adds up", async () => {
    const { agent, claims, action } = await authorized();
    const [second, third] = [await acting.allowed(agent, claims), await acting.allowed(agent, claims)];
    await acting.report(agent, { action_id: action });
    await acting.report(agent, { action_id: second.action, scope: ["mail.send"] });
    await acting.report(agent, {});
    const sums = { granted: 3, claimed: 2, witnessed: 0, outOfScope: 1, unauthorized: 1 };
    expect(await acting.sumsOf(agent)).toEqual({ ...sums, unaccounted: 0 });
    world.clock.nowMs += 3_600_000;
    expect(await acting.sumsOf(agent)).toEqual({ ...sums, unaccounted: 1 });
    world.clock.nowMs -= 3_600_000;
    expect((await acting.accounted(third.action)).claimed).toBeUndefined();
  });
});
