import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { admin, alice, archived2, bob, type Pdp, read, record1, startPdp, write } from "./pdp.ts";

// The AuthZEN certification scenario, sections 4 (Basic) and 7 (transport); each test bears the scenario's own id.
const removals: (() => Promise<void>)[] = [];
let pdp: Pdp;
beforeAll(async () => {
  pdp = await startPdp((remove) => removals.push(remove));
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

const path = "/access/v1/evaluation";
const permitted = { subject: alice, action: read, resource: record1 };
const json = { "content-type": "application/json" };

/** The decision of an answer that is one. */
async function decisionOf(body: object): Promise<unknown> {
  const answer = await pdp.ask(path, body);
  expect(answer).toMatchObject({ status: 200, body: { decision: expect.any(Boolean) } });
  expect(answer.headers.get("content-type")).toMatch(/^application\/json/);
  return answer.body;
}

describe("[AZN-001] AuthZEN Basic Core", () => {
  test("c-2-2-1 permits", async () => {
    expect(await decisionOf(permitted)).toMatchObject({ decision: true });
  });
  test("c-1-4 alice writes, bob reads", async () => {
    expect(await decisionOf({ ...permitted, action: write })).toMatchObject({ decision: true });
    expect(await decisionOf({ ...permitted, subject: bob })).toMatchObject({ decision: true });
  });
  test("c-2-2-2 denies", async () => {
    expect(await decisionOf({ subject: bob, action: write, resource: record1 })).toMatchObject({
      decision: false,
    });
  });
  test("c-2-2-3 takes a context", async () => {
    const context = { time: "2025-06-27T18:03-07:00", ip: "192.168.1.1" };
    expect(await decisionOf({ ...permitted, context })).toMatchObject({ decision: true });
  });
  test("c-2-2-8 takes additional properties", async () => {
    const request = {
      subject: { ...alice, properties: { department: "Sales", role: "manager" } },
      action: { ...read, properties: { method: "GET" } },
      resource: { ...record1, properties: { status: "active", owner: "bob" } },
    };
    expect(await decisionOf(request)).toMatchObject({ decision: true });
  });
  test("c-2-2-9 passes over unknown fields", async () => {
    const request = { ...permitted, foo: "bar", futureField: { nested: true } };
    expect(await decisionOf(request)).toMatchObject({ decision: true });
  });
  test("c-2-3 answers with a boolean, and a context that is an object", async () => {
    expect(await decisionOf(permitted)).toEqual({
      decision: true,
      context: { rule: "records-are-read-1", reason: expect.any(String), policy: expect.any(String) },
    });
  });
  test.each([
    ["subject", { action: read, resource: record1 }],
    ["action", { subject: alice, resource: record1 }],
    ["resource", { subject: alice, action: read }],
  ])("c-2-4-1 refuses a request without %s", async (_, body) => {
    expect(await pdp.ask(path, body)).toMatchObject({ status: 400 });
  });
  test.each([
    ["subject.type", { ...permitted, subject: { id: "alice" } }],
    ["subject.id", { ...permitted, subject: { type: "user" } }],
    ["action.name", { ...permitted, action: {} }],
    ["resource.type", { ...permitted, resource: { id: "record-1" } }],
    ["resource.id", { ...permitted, resource: { type: "record" } }],
  ])("c-2-4-2 refuses a request without %s", async (_, body) => {
    expect(await pdp.ask(path, body)).toMatchObject({ status: 400 });
  });
  test("c-2-4-3 refuses another content type", async () => {
    const headers = { "content-type": "text/plain" };
    expect(await pdp.send(path, JSON.stringify(permitted), headers)).toMatchObject({ status: 400 });
  });
  test.each([
    ["c-2-4-4 malformed JSON", '{"subject": '],
    ["c-2-4-5 an empty body", ""],
    ["c-2-4-6 a subject that is a string", JSON.stringify({ ...permitted, subject: "alice" })],
    ["c-2-4-6 an action's name that is a number", JSON.stringify({ ...permitted, action: { name: 123 } })],
  ])("%s is refused", async (_, body) => {
    expect(await pdp.send(path, body, json)).toMatchObject({ status: 400 });
  });
  test.each(["0d5f1c3e-8f4a-4b53-9c3b-6a1f0a1e2b3c", "a", "bfe9eb29-ab87-4ca3-be83-a1d5d8305716;1"])(
    "c-2-5-1 echoes X-Request-ID %s",
    async (id) => {
      const { status, headers } = await pdp.ask(path, permitted, { "x-request-id": id });
      expect({ status, id: headers.get("x-request-id") }).toEqual({ status: 200, id });
      const refused = await pdp.ask(path, {}, { "x-request-id": id });
      expect(refused.headers.get("x-request-id")).toBe(id);
    },
  );
  test("c-2-5-2 does without X-Request-ID", async () => {
    expect(await pdp.ask(path, permitted)).toMatchObject({ status: 200 });
  });
  test("c-2-6 decides the same each time", async () => {
    for (let times = 0; times < 5; times++)
      expect(await decisionOf(permitted)).toMatchObject({ decision: true });
  });
});

describe("[AZN-002] AuthZEN Basic Properties", () => {
  test("c-2-2-4 denies because of the resource's", async () => {
    expect(await decisionOf({ subject: alice, action: write, resource: archived2 })).toMatchObject({
      decision: false,
    });
  });
  test("c-2-2-5 permits because of the subject's", async () => {
    expect(await decisionOf({ subject: admin, action: write, resource: archived2 })).toMatchObject({
      decision: true,
    });
  });
  test.each([
    ["c-2-2-6 permits", true],
    ["c-2-2-7 denies", false],
  ])("%s because of the action's", async (_, soft) => {
    const action = { name: "delete", properties: { soft } };
    expect(await decisionOf({ ...permitted, action })).toMatchObject({ decision: soft });
  });
});
