import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { authorizeAction } from "@countersign/sdk/contract/actions";
import type { Operation } from "@countersign/sdk/contract/operation";
import { operations } from "@countersign/sdk/contract/operations";
import { getServerStatus } from "@countersign/sdk/contract/server-status";
import { createTrustedIssuer } from "@countersign/sdk/contract/trusted-issuers";
import { getUser, listUsers } from "@countersign/sdk/contract/users";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { audience, callApi } from "../chaos/cast.ts";
import { sqlOf } from "../chaos/postgres.ts";
import { bodiesOf, type Material, pathsOf } from "./every-operation.ts";
import { type Caller, openStage, type Stage } from "./stage.ts";

// JSON that readers disagree about, or choke on, in the place of the body of every operation that takes one.
const removals: (() => Promise<void>)[] = [];
let stage: Stage;
let material: Material;
let callers: readonly Caller[];
let grant: object;
let granted: string;
beforeAll(async () => {
  stage = await openStage((remove) => removals.push(remove));
  const { cast, installation } = stage;
  const agent = await cast.createAgent("courier");
  granted = await cast.grant(agent);
  const { publicJwk } = await makeKeyPair();
  const issuer = await cast.operator.perform(createTrustedIssuer, {
    body: { issuer: "https://ci.example", jwks: { keys: [{ ...publicJwk, kid: "k" }] } },
  });
  const ids = [cast.alice, agent.id, cast.mailbox.id, granted, issuer.id];
  const known = [
    ...ids,
    "tok_01arz3ndektsv4rrffq69g5fav",
    "act_01arz3ndektsv4rrffq69g5fav",
    "prp_01arz3ndektsv4rrffq69g5fav",
  ];
  grant = { from_user: cast.alice, to_agent: agent.id, resource: audience, scope: ["mail.read"] };
  material = { texts: [...known, "5e".repeat(32), audience, "a@mail.example", "0"], jwk: publicJwk };
  const operator = await installation.operatorKey();
  callers = [await stage.signIn(operator, "admin"), await stage.signIn(agent, "delegate")];
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

const taking = operations.filter(({ body }) => body !== undefined);
const nested = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
const objects = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;

/** Texts that are no body of any operation. */
const hostile: Readonly<Record<string, string | Uint8Array>> = {
  "half of it": '{"name":"x"',
  "two values": "{} {}",
  "no object": '"name"',
  null: "null",
  "a list": "[]",
  "a number without end": `1${"0".repeat(60_000)}`,
  "no number": '{"name":NaN}',
  "a comment": '{/*x*/"name":"x"}',
  "single quotes": "{'name':'x'}",
  "17 levels": nested(17),
  "20,000 levels of lists": nested(20_000),
  "9,000 levels of objects": objects(9_000),
  "levels hidden behind quotes": `{"a\\"${"[".repeat(40)}":${nested(20)}}`,
  "a member more than 64 KiB": `{"name":"${"x".repeat(70_000)}"}`,
  "a million of bytes": " ".repeat(1_000_000),
  "no UTF-8": Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
  "an overlong NUL": Buffer.from([0x7b, 0x22, 0xc0, 0x80, 0x22, 0x3a, 0x31, 0x7d]),
  "a surrogate in UTF-8": Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]),
  "a thousand members": `{${Array.from({ length: 1000 }, (_, n) => `"m${n}":1`).join()}}`,
};

/** What becomes of a body that is understood, once something is wrong with it. */
function spoiled(body: object): readonly string[] {
  const text = JSON.stringify(body);
  const rest = text.slice(1);
  const deep = JSON.parse(nested(12));
  const texts = [String.raw`\u0000`, String.raw`a\u0000b`, String.raw`\ud800`, String.raw`\udc00\ud800`];
  return [
    `{"__proto__":{"admin":true},${rest}`,
    `{"constructor":{"prototype":{"admin":true}},${rest}`,
    `{"prototype":1,${rest}`,
    `{"toString":1,${rest}`,
    `{"hasOwnProperty":1,${rest}`,
    `{"":1,${rest}`,
    `{"\\u005f\\u005fproto\\u005f\\u005f":{"admin":true},${rest}`,
    ...Object.keys(body).flatMap((name) => [
      ...texts.map((bad) => text.replace(`"${name}":`, `"${name}":"${bad}","${bad}":`)),
      ...[null, {}, { $ne: 1 }, -1e308, "\u0007", "x".repeat(60_000), deep].map((bad) =>
        JSON.stringify({ ...body, [name]: bad }),
      ),
    ]),
    // What is as it was is not spoiled: a member that may be empty, and was.
  ].filter((bad) => bad !== text);
}

async function statusesOf(operation: Operation, body: string | Uint8Array): Promise<readonly number[]> {
  const [path = operation.path] = pathsOf(operation, material);
  const method = operation.method.toUpperCase() as "POST" | "PUT";
  const sending = callers.map((caller) =>
    callApi(stage.installation, stage.at(0), caller, { method, path, body }),
  );
  return (await Promise.all(sending)).map(({ status }) => status);
}

/** How many rows there are of what callers can make. */
async function countOfThings(): Promise<unknown> {
  const kinds = [
    "user",
    "agent",
    "resource",
    "operator",
    "delegation",
    "client_profile",
    "signing_key",
    "action",
  ];
  const counts = kinds.map((kind) => `(SELECT count(*)::int FROM "${kind}") AS "${kind}"`);
  return (await sqlOf(stage.installation.dataDir, `SELECT ${counts.join()}`))[0];
}

const isRefusal = (status: number) => status >= 400 && status < 500;

describe.each(taking.map((operation) => [operation.name, operation] as const))(
  "[FLT-009] %s",
  (_name, operation) => {
    test("refuses what is no JSON of its kind: deep, long, broken or in another encoding", async () => {
      const before = await countOfThings();
      // No body at all is as `{}`, where that is one.
      const absent = operation.body?.safeParse({}).success ? [] : [["nothing", ""] as const];
      for (const [what, body] of [...absent, ...Object.entries(hostile)]) {
        const statuses = await statusesOf(operation, body);
        expect([what, statuses.every(isRefusal), statuses]).toEqual([what, true, statuses]);
      }
      expect(await countOfThings()).toEqual(before);
    });

    test("[FLT-008] refuses a prototype, a NUL, half a character or another kind in any member, and does nothing", async () => {
      const before = await countOfThings();
      for (const body of bodiesOf(operation, material)) {
        for (const bad of spoiled(Object(body))) {
          const statuses = await statusesOf(operation, bad);
          expect([bad.slice(0, 200), statuses.filter((status) => !isRefusal(status))]).toEqual([
            bad.slice(0, 200),
            [],
          ]);
        }
      }
      expect(await countOfThings()).toEqual(before);
    });
  },
);

test("[FLT-009] [NAR-002] [BUD-003] a prototype is refused at any depth: nothing that was said is dropped", async () => {
  const [operator] = callers;
  if (operator === undefined) throw new Error("nobody signed in");
  const detail = (more: string) =>
    `"authorization_details":[{"type":"tool_call","server":"files","tools":["x"],${more}}]`;
  const members = [
    `"budget":{"__proto__":{"tokens":1}}`,
    `"budget":{"tokens":1,"__proto__":5}`,
    detail(`"__proto__":{"tools":["y"]}`),
    detail(`"arguments":{"__proto__":{"exact":1}}`),
    detail(`"arguments":{"a":{"__proto__":{"exact":1}}}`),
    detail(`"arguments":{"a":{"exact":{"__proto__":1}}}`),
    detail(`"arguments":{"a":{"exact":{"\\u005f_proto__":1}}}`),
    detail(`"arguments":{"a":{"one_of":[[{"__proto__":null}]]}}`),
  ];
  for (const member of members) {
    const text = `{${member},${JSON.stringify(grant).slice(1)}`;
    const { status } = await stage.call(operator, { method: "POST", path: "/v1/delegations", body: text });
    expect([member, status]).toEqual([member, 400]);
  }
  const plain = { method: "POST", path: "/v1/delegations", body: JSON.stringify(grant) } as const;
  expect((await stage.call(operator, plain)).status).toBe(201);
});

test("[FLT-009] JSON of 17 levels is refused as that, and of 16 by what the operation takes", async () => {
  const [, agent] = callers;
  if (agent === undefined) throw new Error("nobody signed in");
  const { access_token } = await stage
    .clientOf(agent)
    .redeemDelegation({ delegation: granted, resource: audience });
  const authorize = async (levels: number) => {
    const { path } = authorizeAction;
    const call = `"tool_call":{"server":"files","tool":"x","arguments":${objects(levels - 2)}}`;
    const body = `{"action":"read","scope":["mail.read"],${call}}`;
    const caller = { ...agent, accessToken: access_token };
    const { status, text } = await stage.call(caller, { method: "POST", path, body });
    return { status, ...JSON.parse(text) };
  };
  const refused = { status: 400, code: "invalid_request" };
  expect(await authorize(17)).toMatchObject({ ...refused, detail: "the JSON is nested too deeply" });
  const { detail, ...rest } = await authorize(16);
  expect(rest).toMatchObject(refused);
  expect(detail).toContain("tool_call.arguments");
  expect(await authorize(14)).toMatchObject({ status: 200, decision: "allow" });
});

test("[FLT-009] of a member that stands twice one is taken, for what is checked and for what is done alike", async () => {
  const [operator] = callers;
  if (operator === undefined) throw new Error("nobody signed in");
  const { text } = await stage.call(operator, {
    method: "POST",
    path: "/v1/users",
    body: '{"name":"First","name":"Last"}',
  });
  const { id, name } = JSON.parse(text);
  expect(name).toBe("Last");
  expect((await stage.cast.operator.perform(getUser, { params: { id } })).name).toBe("Last");
  const twice = '{"name":"a","name":"b\\u0000"}';
  expect((await stage.call(operator, { method: "POST", path: "/v1/users", body: twice })).status).toBe(400);
});

test("[FLT-009] a prototype is nobody's afterwards, and the server answers as before", async () => {
  const { items } = await stage.cast.operator.perform(listUsers, { query: { limit: 200 } });
  for (const item of items) expect(Object.keys(item)).not.toContain("admin");
  const { ready } = await stage.cast.operator.perform(getServerStatus, {});
  expect(ready).toBe(true);
});

test("[FLT-009] a body is bounded in parts as well: forms, headers and queries", async () => {
  const long = "x".repeat(100_000);
  const { url } = stage.at(0);
  for (const path of ["/token", "/introspect", "/revoke", "/par"]) {
    const form = await fetch(`${url}${path}`, { method: "POST", body: new URLSearchParams({ token: long }) });
    expect([path, isRefusal(form.status)]).toEqual([path, true]);
    const many = `a=b&`.repeat(20_000);
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const parts = await fetch(`${url}${path}`, { method: "POST", body: many, headers });
    expect([path, isRefusal(parts.status)]).toEqual([path, true]);
  }
});
