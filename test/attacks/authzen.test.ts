import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { suspendAgent } from "@countersign/sdk/contract/agents";
import { createDelegation, revokeDelegation } from "@countersign/sdk/contract/delegations";
import { createResource } from "@countersign/sdk/contract/resources";
import { createUser, offboardUser } from "@countersign/sdk/contract/users";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { audience, narrow } from "../chaos/cast.ts";
import { sqlOf } from "../chaos/postgres.ts";
import type { Party } from "../server.ts";
import { plantOrganization } from "./another-organization.ts";
import { type Caller, codeOf, openStage, type Stage } from "./stage.ts";

// Who asks what policy says of others, and would like to hear more than is theirs, or another answer than is true.
const removals: (() => Promise<void>)[] = [];
let stage: Stage;
let mailbox: Caller;
let operator: Caller;
let rival: Caller;
let agent: Party;
let delegation: string;
beforeAll(async () => {
  stage = await openStage((remove) => removals.push(remove));
  const { installation, cast } = stage;
  const fixture = await readFile(
    new URL("../../policies/authzen-certification.csv", import.meta.url),
    "utf8",
  );
  const file = join(installation.dataDir, "policy.csv");
  await writeFile(file, (await readShippedPolicy()).policy + fixture + more);
  const applied = await installation.run("policy", "apply", file);
  if (applied.code !== 0) throw new Error(applied.err);
  mailbox = await stage.signIn(cast.mailbox, "evaluate");
  operator = await stage.signIn(await installation.operatorKey(), "evaluate");
  agent = await cast.createAgent("reader");
  delegation = await cast.grant(agent);
  const other = await plantOrganization(installation, "rival");
  rival = await stage.signIn(other, "evaluate");
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

const more = `
p, notes-by-managers, *, *,     none, note:one, access.evaluate, jot,  subject.kind=manager, allow, Managers jot
p, never-by-day,      *, *,     none, note:one, access.evaluate, dawn, context.hour>=24, allow, No such hour
p, on-any-day,        *, *,     none, note:one, access.evaluate, date, context.weekday=mon|tue|wed|thu|fri|sat|sun, allow, Any day
p, agents-peek,       *, agent, none, note:one, access.evaluate, peek, *, allow, Agents peek
p, users-peek,        *, user,  none, note:one, access.evaluate, peek, *, allow, Users peek
p, asks-approval,     *, agent, none, note:one, access.evaluate, burn, *, needs_approval, Somebody has to agree
p, agents-burn,       *, agent, none, note:one, access.evaluate, burn, *, allow, Agents burn
p, peek-redacted,     *, agent, none, note:one, access.evaluate, peek, *, redact:body, Not the body
`;

const answerSchema = z.looseObject({
  decision: z.boolean().optional(),
  context: z.looseObject({}).optional(),
  evaluations: z.array(z.looseObject({ decision: z.boolean() })).optional(),
  results: z.array(z.record(z.string(), z.string())).optional(),
  page: z.looseObject({ next_token: z.string() }).optional(),
  code: z.string().optional(),
});
/** What is answered to any text. */
async function send(caller: Caller, path: string, body: string) {
  const { status, text } = await stage.call(caller, { method: "POST", path: `/access/v1/${path}`, body });
  return { status, ...answerSchema.parse(JSON.parse(text)) };
}
const ask = (caller: Caller, path: string, body: object) => send(caller, path, JSON.stringify(body));
const note = { type: "note", id: "one" };
const record = { type: "record", id: "record-1" };
const box = { type: "resource", id: audience };
const anAgent = ({ id }: Pick<Party, "id">) => ({ type: "agent", id });
const may = (caller: Caller, subject: object, name: string, resource: object, rest: object = {}) =>
  ask(caller, "evaluation", { subject, action: { name }, resource, ...rest });

describe("[AZN-008] a resource hears of an agent", () => {
  test("that it may what was delegated to it, by its id and by its SPIFFE ID, and by which delegation", async () => {
    for (const subject of [anAgent(agent), { type: "agent", id: agent.clientId }])
      expect(await may(mailbox, subject, "mail.read", box)).toMatchObject({
        status: 200,
        decision: true,
        context: { delegation, rule: "agent-acts-delegated" },
      });
    expect(await may(mailbox, anAgent(agent), "mail.send", box)).toMatchObject({
      status: 200,
      decision: false,
      context: { rule: "default-deny" },
    });
    const actions = await ask(mailbox, "search/action", { subject: anAgent(agent), resource: box });
    expect(actions.results).toEqual([{ name: "mail.read" }]);
    const whom = { subject: { type: "agent" }, action: { name: "mail.read" }, resource: box };
    expect((await ask(mailbox, "search/subject", whom)).results).toEqual([anAgent(agent)]);
    const where = { subject: anAgent(agent), action: { name: "mail.read" }, resource: { type: "resource" } };
    for (const caller of [mailbox, operator])
      expect((await ask(caller, "search/resource", where)).results).toEqual([box]);
  });

  test("that it may no more once that is revoked, spent, limited to calls, or the agent is stopped", async () => {
    const { cast, clientOf } = stage;
    const body = { from_user: cast.alice, resource: audience, scope: ["mail.read"] };
    const [one, two, three, four] = await Promise.all(
      ["one", "two", "three", "four"].map((name) => cast.createAgent(name)),
    );
    if (!one || !two || !three || !four) throw new Error("no agents");
    const mayRead = async (party: Party) => (await may(mailbox, anAgent(party), "mail.read", box)).decision;
    const given = await cast.grant(one);
    const below = await narrow(clientOf(one), given, two);
    expect([await mayRead(one), await mayRead(two)]).toEqual([true, true]);
    await cast.operator.perform(revokeDelegation, { params: { id: given } });
    expect([await mayRead(one), await mayRead(two)]).toEqual([false, false]);
    expect(below).not.toBe(given);

    await cast.operator.perform(createDelegation, {
      body: { ...body, to_agent: three.id, budget: { tokens: 1 } },
    });
    expect(await mayRead(three)).toBe(true);
    const { id: limited } = await cast.operator.perform(createDelegation, {
      body: { ...body, to_agent: four.id, budget: { calls: 1 } },
    });
    await sqlOf(
      stage.installation.dataDir,
      `UPDATE budget SET spent = allowance WHERE delegation_id = '${limited}'`,
    );
    expect(await may(mailbox, anAgent(four), "mail.read", box)).toMatchObject({
      decision: false,
      context: { reason: expect.stringMatching(/no calls are left/) },
    });
    const tool = await cast.createAgent("tool");
    const authorization_details = [{ type: "tool_call", server: "files", tools: ["read_file"] }];
    await cast.operator.perform(createDelegation, {
      body: { ...body, to_agent: tool.id, authorization_details },
    });
    expect(await mayRead(tool)).toBe(false);
    await cast.operator.perform(suspendAgent, { params: { id: three.id } });
    expect(await may(mailbox, anAgent(three), "mail.read", box)).toMatchObject({
      decision: false,
      context: { reason: "inactive" },
    });
  });

  test("with its duties; what needs an approval is a no that says so", async () => {
    expect(await may(mailbox, anAgent(agent), "peek", note)).toMatchObject({
      decision: true,
      context: { obligations: [{ kind: "redact", field: "body", rule: "peek-redacted" }] },
    });
    expect(await may(mailbox, anAgent(agent), "burn", note)).toMatchObject({
      decision: false,
      context: { effect: "needs_approval", rule: "asks-approval" },
    });
  });
});

describe("[AZN-009] nobody hears of", () => {
  const inactive = { status: 200, decision: false, context: { reason: "inactive" } };

  test("another organization's agents and users: they are as if they were not", async () => {
    const unknown = "agt_01jd0000000000000000000001";
    const { alice } = stage.cast;
    for (const subject of [anAgent(agent), { type: "agent", id: agent.clientId }, anAgent({ id: unknown })])
      expect(await may(rival, subject, "peek", note)).toMatchObject(inactive);
    expect(await may(rival, { type: "user", id: alice }, "peek", note)).toMatchObject(inactive);
    expect(await may(mailbox, { type: "user", id: alice }, "peek", note)).toMatchObject({ decision: true });
    for (const type of ["agent", "user"]) {
      const search = { subject: { type }, action: { name: "peek" }, resource: note };
      expect((await ask(rival, "search/subject", search)).results).toEqual([]);
    }
  });

  test("another organization's policy: each is answered by its own", async () => {
    expect(await may(rival, { type: "user", id: "alice" }, "read", record)).toMatchObject({
      decision: false,
    });
    const search = { subject: { type: "user" }, action: { name: "read" }, resource: record };
    expect((await ask(rival, "search/subject", search)).results).toEqual([]);
    expect((await ask(rival, "search/action", { subject: anAgent(agent), resource: note })).results).toEqual(
      [],
    );
  });

  test("another registered resource, but operators: not even whether there is one", async () => {
    const { publicJwk } = await makeKeyPair();
    const there = "https://other.example/";
    const body = { audience: there, scope: ["mail.read"], open: true, jwk: publicJwk };
    await stage.cast.operator.perform(createResource, { body });
    const [known, unknown] = await Promise.all(
      [there, "https://nowhere.example/"].map((id) =>
        may(mailbox, anAgent(agent), "mail.read", { type: "resource", id }),
      ),
    );
    expect(known).toMatchObject({ status: 403, code: "not_authorized" });
    expect(JSON.stringify({ ...known, request_id: 0 })).toBe(JSON.stringify({ ...unknown, request_id: 0 }));
    for (const resource of [there, "https://nowhere.example/"].map((id) => ({ type: "resource", id }))) {
      expect(await ask(mailbox, "search/action", { subject: anAgent(agent), resource })).toMatchObject({
        status: 403,
      });
      // Whether or not there is anybody to look at.
      const search = { subject: { type: "none-of-these" }, action: { name: "mail.read" }, resource };
      expect(await ask(mailbox, "search/subject", search)).toMatchObject({ status: 403 });
    }
    const evaluations = [{ resource: { type: "resource", id: there } }, { resource: box }];
    const batch = { subject: anAgent(agent), action: { name: "mail.read" }, evaluations };
    expect((await ask(mailbox, "evaluations", batch)).evaluations).toMatchObject([
      { decision: false, context: { error: { status: 403 } } },
      { decision: true },
    ]);
    expect((await ask(operator, "evaluations", batch)).evaluations).toMatchObject([
      { decision: false, context: { reason: "No rule allows it" } },
      { decision: true },
    ]);
  });

  test("a person who left, nor are they told from one who never was", async () => {
    const { operator: admin } = stage.cast;
    const { id } = await admin.perform(createUser, { body: { name: "Bob" } });
    expect(await may(mailbox, { type: "user", id }, "peek", note)).toMatchObject({ decision: true });
    await admin.perform(offboardUser, { params: { id } });
    expect(await may(mailbox, { type: "user", id }, "peek", note)).toMatchObject(inactive);
  });
});

describe("[AZN-010] asks about others", () => {
  const question = { subject: { type: "user", id: "alice" }, action: { name: "read" }, resource: record };

  test("nobody with a token of another scope, and nobody without one", async () => {
    const parties: readonly (readonly [Party | Omit<Party, "id">, "report" | "delegate" | "audit"])[] = [
      [stage.cast.mailbox, "report"],
      [agent, "delegate"],
      [await stage.installation.operatorKey(), "audit"],
    ];
    for (const [party, scope] of parties) {
      const caller = await stage.signIn(party, scope);
      for (const path of ["evaluation", "evaluations", "search/action"])
        expect(await ask(caller, path, question)).toMatchObject({ status: 403, code: "insufficient_scope" });
    }
    const options = { method: "POST", body: JSON.stringify(question) };
    const headers = { "content-type": "application/json" };
    const bare = await fetch(`${stage.at(0).url}/access/v1/evaluation`, { ...options, headers });
    expect(bare.status).toBe(401);
  });

  test("no agent: it is given no token for it", async () => {
    const target = { resource: `${stage.installation.issuer}/v1`, scope: "evaluate" };
    expect(await codeOf(stage.clientOf(agent).requestToken(target))).toBe("access_denied");
  });
});

describe("[AZN-011] who asks does not outweigh", () => {
  test("what the server knows: an agent's kind, the hour, the day", async () => {
    const forged = { ...anAgent(agent), properties: { kind: "manager" } };
    expect(await may(mailbox, forged, "jot", note)).toMatchObject({ decision: false });
    const context = { hour: 25, weekday: 9 };
    expect(await may(mailbox, anAgent(agent), "dawn", note, { context })).toMatchObject({ decision: false });
    expect(await may(mailbox, anAgent(agent), "date", note, { context })).toMatchObject({ decision: true });
  });

  test.each([
    ["as it stands", { status: "archived" }],
    ["nested", { status: { "": "archived" } }],
    ["beside another", { status: "archived", Status: "archived" }],
  ])("what the policy says of an entity, %s", async (_, properties) => {
    const resource = { ...record, properties };
    const admin = { type: "user", id: "carol", properties: { role: "admin" } };
    expect(await may(mailbox, admin, "write", resource)).toMatchObject({ decision: false });
  });

  test("by names with a dot, of a prototype, or values that are none", async () => {
    const [alice, bin] = [
      { type: "user", id: "alice" },
      { type: "record", id: "record-1" },
    ];
    const soft = (text: string) =>
      `{"subject":${JSON.stringify(alice)},"resource":${JSON.stringify(bin)},"action":{"name":"delete","properties":${text}}}`;
    expect(await send(mailbox, "evaluation", soft('{"soft":true}'))).toMatchObject({ decision: true });
    for (const text of ['{"x":{"soft":true}}', '{"soft":null}', '{"soft":[true]}', '{"soft":{"a":true}}'])
      expect(await send(mailbox, "evaluation", soft(text))).toMatchObject({ status: 200, decision: false });
    expect(await send(mailbox, "evaluation", soft('{"__proto__":{"soft":true}}'))).toMatchObject({
      status: 400,
    });
    const dotted = { ...alice, properties: { "x.action.soft": true, "action.soft": true } };
    expect(await may(mailbox, dotted, "delete", bin)).toMatchObject({ decision: false });
  });
});

describe("[AZN-012] bounds", () => {
  const question = { subject: { type: "user", id: "alice" }, action: { name: "read" }, resource: record };

  test("hold for evaluations, attributes, bodies, depth and pages", async () => {
    const { subject, action, resource } = question;
    const many = (count: number) => ({ subject, action, evaluations: new Array(count).fill({ resource }) });
    const all = await ask(mailbox, "evaluations", many(500));
    expect(all.evaluations).toHaveLength(500);
    expect(await ask(mailbox, "evaluations", many(501))).toMatchObject({ status: 400 });
    const filled = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, place) => [`p${place}`, place]));
    const context = filled(64);
    expect(await ask(mailbox, "evaluation", { ...question, context })).toMatchObject({ decision: true });
    expect(await ask(mailbox, "evaluation", { ...question, context: filled(65) })).toMatchObject({
      status: 400,
    });
    const large = { ...question, context: { text: "x".repeat(64 * 1024) } };
    expect(await ask(mailbox, "evaluation", large)).toMatchObject({ status: 413 });
    const deep = `${'{"a":'.repeat(20)}1${"}".repeat(20)}`;
    const body = JSON.stringify(question).replace(/}$/, `,"context":${deep}}`);
    expect(await send(mailbox, "evaluation", body)).toMatchObject({ status: 400 });
    const page = { limit: 0 };
    expect(await ask(mailbox, "search/action", { subject, resource, page })).toMatchObject({ status: 400 });
  });

  test("a page's token is of no other search, no other asker, and nothing made up", async () => {
    const search = { subject: { type: "user" }, action: { name: "read" }, resource: record };
    const first = await ask(mailbox, "search/subject", { ...search, page: { limit: 1 } });
    const token = first.page?.next_token ?? "";
    expect(token).not.toBe("");
    const on = (caller: Caller, other: object) =>
      ask(caller, "search/subject", { ...search, ...other, page: { token } });
    expect(await on(mailbox, {})).toMatchObject({ status: 200, results: [{ type: "user", id: "bob" }] });
    for (const other of [
      { action: { name: "write" } },
      { resource: { type: "record", id: "record-2" } },
      { subject: { type: "record" } },
      { context: { ip: "192.0.2.1" } },
    ])
      expect(await on(mailbox, other)).toMatchObject({ status: 400, code: "invalid_request" });
    expect(await on(operator, {})).toMatchObject({ status: 400 });
    for (const made of ["x", "cG9saWN5OmFsaWNl", `${token}x`.repeat(2)])
      expect(await ask(mailbox, "search/subject", { ...search, page: { token: made } })).toMatchObject({
        status: 400,
      });
  });
});

describe("[AZN-013] a name is refused", () => {
  test.each([
    ["kind", "worker"],
    ["User", "alice"],
    ["user", "../alice"],
    ["user", "a//b"],
    ["user", "alice "],
    ["user", "ali*ce"],
    ["user", "álice"],
    ["user", "https://records.example"],
    ["spiffe", "//127.0.0.1/org/default/agent/x"],
    ["urn", "x:y"],
  ])("%s %s", async (type, id) => {
    expect(await may(mailbox, { type, id }, "read", record)).toMatchObject({ status: 400 });
    const alice = { type: "user", id: "alice" };
    expect(await may(mailbox, alice, "read", { type, id })).toMatchObject({ status: 400 });
    const evaluations = [{}, { subject: { type, id } }];
    const batch = { subject: alice, action: { name: "read" }, resource: record, evaluations };
    expect((await ask(mailbox, "evaluations", batch)).evaluations).toMatchObject([
      { decision: true },
      { decision: false, context: { error: { status: 400 } } },
    ]);
  });
});

describe("[AZN-014] a question", () => {
  test("leaves ledger and budgets as they were", async () => {
    const { dataDir } = stage.installation;
    const state = () =>
      sqlOf(
        dataDir,
        "SELECT (SELECT count(*) FROM ledger_entry) AS entries, (SELECT sum(spent) FROM budget) AS spent",
      );
    const before = await state();
    await may(mailbox, anAgent(agent), "mail.read", box);
    await ask(mailbox, "search/action", { subject: anAgent(agent), resource: box });
    expect(await state()).toEqual(before);
  });
});
