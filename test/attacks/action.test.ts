import { signActionReport } from "@countersign/sdk/client/actions";
import { actionReportType, type ReportedDeed } from "@countersign/sdk/contract/action-report";
import { newId, parseId } from "@countersign/sdk/model/ids";
import { SignJWT } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Acting, type ActingAgent, openActing, type Signer } from "../journeys/acting.ts";
import { issuer, mail, must } from "../journeys/server-process.ts";
import { errorOf, nameOf, openWorld, startAnotherProcess, type World } from "../journeys/world.ts";

let world: World;
let acting: Acting;
let agent: ActingAgent;
let other: ActingAgent;
let drive: Signer;
const driveUri = "https://drive.example";
beforeAll(async () => {
  world = await openWorld();
  acting = openActing(world);
  [agent, other] = [await acting.agent(), await acting.agent()];
  drive = await acting.resource(driveUri);
});
afterAll(() => world.close());
beforeEach(() => world.main.hot.invalidateAll());

const granted = async (terms: Parameters<World["grant"]>[2] = {}) => {
  const delegation = await world.grant(world.alice, agent.principal, terms);
  const claims = await acting.redeem(agent, delegation);
  return { delegation, claims };
};
const last = async () => must((await world.entries()).at(-1));
const reportsThere = () => world.db.prisma.actionReport.count();
const codeOf = (attempt: Promise<unknown>) => errorOf(attempt).then(({ code }) => code);

/** Signs whatever it is given, as nobody honest would. */
function forge(
  key: ActingAgent["key"],
  claims: Record<string, unknown>,
  header: Record<string, unknown> = {},
): Promise<string> {
  const now = Math.floor(world.clock.nowMs / 1000);
  const sub = nameOf(agent.principal);
  const usual = { iss: sub, sub, aud: issuer, iat: now, jti: "forged", report: acting.deed() };
  return new SignJWT({ ...usual, ...claims })
    .setProtectedHeader({ alg: "ES256", typ: actionReportType, kid: key.kid ?? "", ...header })
    .sign(key);
}

describe("a report that is not its sender's", () => {
  test("[ACT-010] is refused, recorded, and never kept as one", async () => {
    const before = await reportsThere();
    const self = nameOf(agent.principal);
    const attempts: readonly (() => Promise<unknown>)[] = [
      // Of another agent, by name or by signature.
      () => acting.report(agent, { agent: nameOf(other.principal) }),
      async () => acting.send(agent.principal, await acting.signReport(other, acting.deed())),
      // Signed with another registered key, under either name of it.
      async () => acting.send(agent.principal, await forge(other.key, {})),
      async () => acting.send(agent.principal, await forge(other.key, {}, { kid: agent.key.kid })),
      async () => acting.send(agent.principal, await forge(agent.key, { iss: nameOf(other.principal) })),
      async () => acting.send(agent.principal, await forge(agent.key, { sub: nameOf(other.principal) })),
      // Of what a resource saw elsewhere than at itself.
      () => acting.report(drive, { agent: self, resource: mail }),
      () => acting.report(drive, { agent: self, resource: "https://nowhere.example" }),
    ];
    for (const attempt of attempts) {
      expect(await codeOf(attempt())).toBe("not_authorized");
    }
    const refusals = (await world.entries()).filter(({ type }) => type === "action.refused");
    expect(refusals.map(({ actor }) => actor.id)).toEqual([agent.principal.id, drive.principal.id]);
    expect(await reportsThere()).toBe(before);
  });

  test("[ACT-010] nor is one that another is told of: an operator, a resource that names no agent of this organization", async () => {
    const operator = { principal: world.operator, key: agent.key };
    expect(await codeOf(acting.report(operator))).toBe("not_authorized");
    const foreign = await world.makeOrganization("foreign");
    const carol = await world.user("Carol", foreign);
    const stranger = await acting.agent(carol, foreign);
    const named = [
      undefined,
      nameOf(stranger.principal),
      nameOf(drive.principal),
      nameOf({ ...agent.principal, id: newId("agent", 0, new Uint8Array(16)) }),
      "spiffe://elsewhere.example/org/default/agent/agt_01arz3ndektsv4rrffq69g5fav",
    ];
    for (const name of named) {
      const told = { resource: driveUri, ...(name !== undefined && { agent: name }) };
      expect(["invalid_request", "not_authorized"]).toContain(await codeOf(acting.report(drive, told)));
    }
  });

  test("[ACT-010] the signature, type, audience, age and header of a report are checked", async () => {
    const now = Math.floor(world.clock.nowMs / 1000);
    const good = await forge(agent.key, { jti: "good" });
    const [head = "", body = "", signature = ""] = good.split(".");
    const flipped = `${signature.slice(0, -4)}${signature.endsWith("AAAA") ? "BBBB" : "AAAA"}`;
    const bad = [
      `${head}.${body}.${flipped}`,
      `${Buffer.from('{"alg":"none","typ":"action-report+jwt"}').toString("base64url")}.${body}.`,
      await forge(agent.key, {}, { typ: "JWT" }),
      await forge(agent.key, {}, { typ: "at+jwt" }),
      await forge(agent.key, { aud: "https://other.example" }),
      await forge(agent.key, { aud: [issuer, "https://other.example"] }),
      await forge(agent.key, { iat: now + 60 }),
      await forge(agent.key, { iat: now - 31 * 24 * 3600 }),
      await forge(agent.key, {}, { note: "kept for ever" }),
      await forge(agent.key, { exp: now + 60 }),
      await forge(agent.key, { jti: "a\nb" }),
      "nonsense",
      "",
    ];
    const before = await reportsThere();
    for (const report of bad) {
      expect(["invalid_request", "not_authorized"]).toContain(
        await codeOf(acting.send(agent.principal, report)),
      );
    }
    expect(await reportsThere()).toBe(before);
    expect((await acting.send(agent.principal, good)).standing).toBe("unauthorized");
  });

  test("[ACT-010] a key that no longer speaks for the agent signs nothing for it, whatever is cached", async () => {
    const one = await acting.agent();
    await acting.report(one);
    await world.db.prisma.credential.updateMany({
      where: { principalId: one.principal.id },
      data: { status: "revoked" },
    });
    expect(await codeOf(acting.report(one))).toBe("subject_not_active");
    world.main.hot.invalidateAll();
    expect(await codeOf(acting.report(one))).toBe("not_authorized");
  });
});

describe("an account of somebody else's action", () => {
  test("[ACT-006] by a foreign resource that learnt its id takes no place of the true witness", async () => {
    const { claims } = await granted();
    const { action } = await acting.allowed(agent, claims);
    const seen = { resource: driveUri, agent: nameOf(agent.principal), action_id: action };
    expect((await acting.report(drive, seen)).standing).toBe("out_of_scope");
    expect((await acting.accounted(action)).witnessed).toBeUndefined();
  });

  test("[ACT-006] an agent can't witness for a resource, nor a resource claim for an agent", async () => {
    const { claims } = await granted();
    const { action } = await acting.allowed(agent, claims);
    const { reporter } = await acting.report(agent, { action_id: action, agent: nameOf(agent.principal) });
    expect(reporter).toBe("agent");
    expect((await acting.accounted(action)).witnessed).toBeUndefined();
  });

  test("[ORG-001] of another organization neither finds nor changes anything here", async () => {
    const foreign = await world.makeOrganization("afar");
    const stranger = await acting.agent(await world.user("Dave", foreign), foreign);
    const { claims } = await granted();
    const { action } = await acting.allowed(agent, claims);
    const told = { action_id: action, jti: must(parseId("token", claims.jti)) };
    const entries = (await world.entries()).length;
    expect((await acting.report(stranger, told)).standing).toBe("unauthorized");
    // The token of one organization under the name of another's agent.
    expect(await codeOf(acting.authorize(stranger, claims))).toBe("invalid_token");
    expect(await world.entries()).toHaveLength(entries);
    expect((await acting.accounted(action)).claimed).toBeUndefined();
  });

  test("[ACT-003] a token whose claims are not what is recorded authorizes nothing", async () => {
    const { claims, delegation } = await granted();
    const another = await world.grant(world.alice, other.principal);
    const tampered = [
      { ...claims, delegation: another },
      { ...claims, aud: driveUri },
      { ...claims, sub: "usr_01arz3ndektsv4rrffq69g5fav" },
      { ...claims, act: undefined },
      { ...claims, delegation: delegation.toUpperCase() },
    ];
    for (const one of tampered) expect(await codeOf(acting.authorize(agent, one))).toBe("invalid_token");
    expect(await codeOf(acting.authorize(other, claims))).toBe("invalid_token");
  });

  test("[ACT-002] nobody but an agent is let act", async () => {
    const operator = { principal: world.operator, key: agent.key };
    const { claims } = await world.issue(world.operator);
    expect(await codeOf(acting.authorize(operator, claims, { scope: ["admin"] }))).toBe("not_authorized");
    expect(await last()).toMatchObject({ type: "action.refused", actor: { kind: "operator" } });
  });
});

describe("arguments", () => {
  const inData = { server: "files", tools: ["read_file"], arguments: { path: { prefix: "/data" } } };
  const details = [{ type: "tool_call", ...inData }];

  test("[ACT-002] that only look like those of the details do not pass", async () => {
    const { claims } = await granted({ authorizationDetails: details });
    const call = (given: Record<string, never> | object) =>
      ({ server: "files", tool: "read_file", arguments: given }) as never;
    const tricks = [
      {},
      { path: "/data/../etc/passwd" },
      { path: ["/data/a"] },
      { path: "/database" },
      { path: "/data/a", mode: "w" },
      { Path: "/data/a" },
      JSON.parse('{"path":"/data/a","__proto__":{"x":1}}'),
      JSON.parse('{"__proto__":{"path":"/data/a"}}'),
      { path: "/data/a\u0000" },
      { path: { toString: "/data/a" } },
    ];
    for (const trick of tricks) {
      expect(await acting.authorize(agent, claims, { call: call(trick) })).toMatchObject({
        decision: "deny",
        code: "outside_details",
      });
    }
    expect(await acting.authorize(agent, claims, { call: call({ path: "/data/a" }) })).toMatchObject({
      decision: "allow",
    });
  });

  test("[ACT-002] that may be left out are not left unseen behind a hash", async () => {
    const optional = { path: { prefix: "/data", optional: true } };
    const { claims } = await granted({
      authorizationDetails: [{ type: "tool_call", ...inData, arguments: optional }],
    });
    const hidden = { server: "files", tool: "read_file", argumentsHash: "A".repeat(43) };
    expect(await acting.authorize(agent, claims, { call: hidden })).toMatchObject({
      code: "outside_details",
    });
  });
});

test("[ACT-010] nothing of a report is free text: names can't break out of a line, a field or an entry", async () => {
  const breaking = [
    { action: "read\ninbox" },
    { action: "read inbox" },
    { action: "a".repeat(129) },
    { scope: ["mail.read\r\nx"] },
    { error_code: 'x","forged":"y' },
    { outcome: "great" },
    { started_at: "yesterday" },
    { started_at: "2030-01-01T00:00:00Z" },
    { resource: "https://mail.example/\u0000" },
    { cost: { amount: "-1", unit: "USD" } },
    { usage: { input_tokens: 1.5, output_tokens: 0 } },
    { result_hash: "short" },
    { note: "hello" },
  ];
  for (const told of breaking) {
    const report = await forge(agent.key, { report: { ...acting.deed(), ...told } });
    expect([told, await codeOf(acting.send(agent.principal, report))]).toEqual([told, "invalid_request"]);
    const honest = { issuer, clientId: nameOf(agent.principal), key: agent.key };
    const deed = { ...acting.deed(), ...told } as ReportedDeed;
    const deps = { now: () => world.clock.nowMs, randomBytes: (count: number) => new Uint8Array(count) };
    await expect(signActionReport(deps, honest, deed)).rejects.toThrow();
  }
});

test("[BUD-004] a budget of calls is not overrun by asking at once, in two processes", async () => {
  const { delegation, claims } = await granted({ budget: { calls: 7 } });
  const second = await startAnotherProcess(world);
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, i) => acting.authorize(agent, claims, {}, i % 2 ? second : world.main)),
  );
  expect(answers.filter(({ decision }) => decision === "allow")).toHaveLength(7);
  const refused = answers.flatMap((answer) => (answer.decision === "allow" ? [] : [answer.code]));
  expect(refused).toEqual(Array(33).fill("budget_exhausted"));
  expect(await world.db.prisma.action.count({ where: { delegationId: delegation } })).toBe(7);
  await second.close();
});
