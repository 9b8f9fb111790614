import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { admin, alice, archived2, type Pdp, read, record1, startPdp, write } from "./pdp.ts";

// The AuthZEN certification scenario, section 6 (Search); each test bears the scenario's own id.
const removals: (() => Promise<void>)[] = [];
let pdp: Pdp;
beforeAll(async () => {
  pdp = await startPdp((remove) => removals.push(remove));
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

const foundSchema = z.strictObject({
  results: z.array(z.record(z.string(), z.string())),
  page: z.strictObject({ next_token: z.string(), count: z.int() }),
});
const ask = (kind: "subject" | "resource" | "action", body: object) =>
  pdp.ask(`/access/v1/search/${kind}`, body);
const find = async (kind: "subject" | "resource" | "action", body: object) => {
  const answer = await ask(kind, body);
  expect(answer.status).toBe(200);
  return foundSchema.parse(answer.body);
};
const user = { type: "user" };
const record = { type: "record" };
const readers = { subject: user, action: read, resource: record1 };
const readable = { subject: alice, action: read, resource: record };
const context = { ip: "192.168.1.1" };

describe("[AZN-005] AuthZEN Search Core", () => {
  test("c-4-2-1, c-4-2-2 finds who may, with a context too", async () => {
    const expected = [
      { type: "user", id: "alice" },
      { type: "user", id: "bob" },
    ];
    expect((await find("subject", readers)).results).toEqual(expected);
    expect((await find("subject", { ...readers, context })).results).toEqual(expected);
  });
  test("c-4-2-3, c-4-3-2 an id of what is looked for is passed over", async () => {
    const { results } = await find("subject", { ...readers, subject: alice });
    expect(results).toHaveLength(2);
    expect((await find("resource", { ...readable, resource: record1 })).results).toHaveLength(2);
  });
  test("c-4-3-1 finds to what", async () => {
    expect((await find("resource", readable)).results).toEqual([
      { type: "record", id: "record-1" },
      { type: "record", id: "record-2" },
    ]);
  });
  test("c-4-4-1, c-4-4-2 finds what may be done, with a context too", async () => {
    const expected = [{ name: "read" }, { name: "write" }];
    const search = { subject: alice, resource: record1 };
    expect((await find("action", search)).results).toEqual(expected);
    expect((await find("action", { ...search, context })).results).toEqual(expected);
  });
  test("c-4-5 a page at a time, each once, until the token is empty", async () => {
    const found: unknown[] = [];
    let token = "";
    for (let pages = 0; pages === 0 || token !== ""; pages++) {
      expect(pages).toBeLessThan(5);
      const { results, page } = await find("subject", { ...readers, page: { limit: 1, token } });
      expect(page.count).toBe(results.length);
      found.push(...results);
      token = page.next_token;
    }
    expect(found).toEqual((await find("subject", readers)).results);
  });
  test("c-4-5-2 a token needs no limit beside it", async () => {
    const { page } = await find("subject", { ...readers, page: { limit: 1 } });
    const rest = await find("subject", { ...readers, page: { token: page.next_token } });
    expect(rest).toEqual({ results: [{ type: "user", id: "bob" }], page: { next_token: "", count: 1 } });
  });
  test.each([
    ["action", { subject: { type: "user", id: "nonexistent-user" }, resource: record1 }],
    ["subject", { ...readers, resource: { type: "record", id: "nonexistent" } }],
    ["subject", { ...readers, subject: { type: "spaceship" } }],
    ["resource", { ...readable, resource: { type: "spaceship" } }],
    ["subject", { ...readers, subject: { type: "Kind:of ship" } }],
  ] as const)("c-4-6 finds nothing of what nobody knows, by %s", async (kind, body) => {
    expect(await find(kind, body)).toEqual({ results: [], page: { next_token: "", count: 0 } });
  });
  test.each([
    ["c-4-7-1", "subject", { subject: user, resource: record1 }],
    ["c-4-7-1", "resource", { action: read, resource: record }],
    ["c-4-7-1", "action", { subject: alice }],
    ["c-4-7-2", "subject", { ...readers, resource: record }],
    ["c-4-7-2", "resource", { ...readable, subject: user }],
  ] as const)("%s refuses a search by %s that lacks something", async (_, kind, body) => {
    expect(await ask(kind, body)).toMatchObject({ status: 400 });
  });
});

describe("[AZN-006] AuthZEN Search Properties", () => {
  test("c-4-2-4 of the resource", async () => {
    const { results } = await find("subject", { ...readers, action: write, resource: archived2 });
    expect(results).toEqual([{ type: "user", id: "bob" }]);
  });
  test("c-4-3-3 of the subject", async () => {
    const { results } = await find("resource", { ...readable, subject: admin, action: write });
    expect(results).toEqual([{ type: "record", id: "record-2" }]);
  });
  test("c-4-4-3 of both", async () => {
    const { results } = await find("action", { subject: admin, resource: archived2 });
    expect(results).toEqual([{ name: "read" }, { name: "write" }]);
  });
});

describe("[AZN-007] AuthZEN Discovery", () => {
  test("c-6 names the decision point and its endpoints, to everybody", async () => {
    const { issuer } = pdp;
    const response = await fetch(`${issuer}/.well-known/authzen-configuration`);
    expect(response.headers.get("content-type")).toMatch(/^application\/json/);
    expect({ status: response.status, body: await response.json() }).toEqual({
      status: 200,
      body: {
        policy_decision_point: issuer,
        access_evaluation_endpoint: `${issuer}/access/v1/evaluation`,
        access_evaluations_endpoint: `${issuer}/access/v1/evaluations`,
        search_subject_endpoint: `${issuer}/access/v1/search/subject`,
        search_resource_endpoint: `${issuer}/access/v1/search/resource`,
        search_action_endpoint: `${issuer}/access/v1/search/action`,
      },
    });
  });
});
