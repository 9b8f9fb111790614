import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  active1,
  admin,
  alice,
  archived2,
  bob,
  type Pdp,
  read,
  record1,
  record2,
  startPdp,
  write,
} from "./pdp.ts";

// The AuthZEN certification scenario, section 5 (Batch); each test bears the scenario's own id.
const removals: (() => Promise<void>)[] = [];
let pdp: Pdp;
beforeAll(async () => {
  pdp = await startPdp((remove) => removals.push(remove));
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

const ask = (body: object) => pdp.ask("/access/v1/evaluations", body);
const answered = (...decisions: readonly unknown[]) => ({
  status: 200,
  body: { evaluations: decisions.map((decision) => expect.objectContaining({ decision })) },
});
const permitted = { subject: alice, action: read, resource: record1 };
const denied = { subject: bob, action: write, resource: record1 };

describe("[AZN-003] AuthZEN Batch Core", () => {
  test("c-3-2-1 answers each", async () => {
    const evaluations = [{ resource: record1 }, { resource: record2 }];
    expect(await ask({ subject: alice, action: read, evaluations })).toMatchObject(
      answered(expect.any(Boolean), expect.any(Boolean)),
    );
  });
  test("c-3-2-2, c-3-3 decides each, in order", async () => {
    const evaluations = [{ action: read }, { action: write }];
    const answer = await ask({ subject: bob, resource: record1, evaluations });
    expect(answer).toMatchObject(answered(true, false));
    expect(answer.body).not.toHaveProperty("decision");
  });
  test("c-3-2-5 needs no defaults", async () => {
    expect(await ask({ evaluations: [permitted, denied] })).toMatchObject(answered(true, false));
  });
  test("c-3-2-6 a context of its own replaces the default", async () => {
    const context = { time: "2025-06-27T18:03-07:00" };
    const own = { time: "2025-06-27T19:00-07:00", source: "batch-override" };
    const evaluations = [{ resource: record1 }, { resource: record2, context: own }];
    expect(await ask({ subject: alice, action: read, context, evaluations })).toMatchObject(
      answered(true, true),
    );
  });
  test("c-3-4-1 what is no question is a no, and says why", async () => {
    const evaluations = [{ resource: record1 }, {}];
    const answer = await ask({ subject: alice, action: read, evaluations });
    expect(answer).toMatchObject(answered(true, false));
    expect(answer.body).toMatchObject({
      evaluations: [{}, { context: { error: { status: 400, message: expect.stringMatching(/resource/) } } }],
    });
  });
  test("c-3-4-2, c-3-4-3 without evaluations, or with none, it is one evaluation", async () => {
    for (const body of [permitted, { ...permitted, evaluations: [] }])
      expect(await ask(body)).toMatchObject({ status: 200, body: { decision: true } });
    expect(await ask({ evaluations: [] })).toMatchObject({ status: 400 });
  });
  test.each([
    ["execute_all", [true, false, true]],
    ["deny_on_first_deny", [true, false]],
    ["permit_on_first_permit", [true]],
  ])("%s answers as many as it says", async (evaluations_semantic, decisions) => {
    const evaluations = [permitted, denied, permitted];
    expect(await ask({ evaluations, options: { evaluations_semantic } })).toMatchObject(
      answered(...decisions),
    );
  });
  test("an order of evaluation that nobody knows is refused", async () => {
    const options = { evaluations_semantic: "first_come" };
    expect(await ask({ evaluations: [permitted], options })).toMatchObject({ status: 400 });
  });
});

describe("[AZN-004] AuthZEN Batch Properties", () => {
  test("c-3-2-3 of the resource, for each", async () => {
    const evaluations = [{ resource: active1 }, { resource: archived2 }];
    expect(await ask({ subject: alice, action: write, evaluations })).toMatchObject(answered(true, false));
  });
  test("c-3-2-4 of the subject, for each", async () => {
    const evaluations = [{ subject: alice }, { subject: admin }];
    expect(await ask({ action: write, resource: archived2, evaluations })).toMatchObject(
      answered(false, true),
    );
  });
  test("c-3-2-7 an entity replaces the default whole, but for its type and id", async () => {
    const { type: _, ...nameless } = active1;
    const evaluations = [{ resource: nameless }, { resource: archived2 }];
    const resource = { type: "record", properties: { status: "archived" } };
    expect(await ask({ subject: alice, action: write, resource, evaluations })).toMatchObject(
      answered(true, false),
    );
  });
});
