import {
  meetObligations,
  type ObligationDeps,
  ObligationUnmet,
  stepUpChallenge,
} from "@countersign/sdk/verify/meet-obligations";
import { countInMemory } from "@countersign/sdk/verify/rate-counts";
import { describe, expect, test } from "vitest";

function setUp() {
  const clock = { nowMs: 1_800_000_000_000 };
  const told: string[] = [];
  const deps: ObligationDeps = {
    rates: countInMemory({ now: () => clock.nowMs }),
    notify: async (whom, { rule }) => void told.push(`${whom} ${rule}`),
  };
  const meet = (
    obligations: readonly unknown[] | undefined,
    more: { subject?: string; steppedUp?: boolean } = {},
  ) => meetObligations(deps, { subject: "usr_1", steppedUp: false, ...more, obligations });
  const unmet = async (...asked: Parameters<typeof meet>) => {
    const error: unknown = await meet(...asked).catch((thrown: unknown) => thrown);
    if (!(error instanceof ObligationUnmet)) throw new Error("it was met");
    return error;
  };
  return { clock, told, deps, meet, unmet };
}

const redact = (field: string) => ({ kind: "redact", field, rule: "private" });
const rate = { kind: "rate", times: 2, per_seconds: 60, rule: "slowly" };
const notify = { kind: "notify", whom: "security", rule: "told" };
const stepUp = { kind: "step_up", rule: "again" };

describe("[RES-001] what an obligation demands is seen to before the request passes", () => {
  test("nothing, where there is none", async () => {
    const { meet } = setUp();
    const answer = { body: "text" };
    expect((await meet(undefined))(answer)).toEqual(answer);
    expect((await meet([]))(answer)).toEqual(answer);
  });

  test("members are left out of the answer, in lists too, and nothing else is", async () => {
    const { meet } = setUp();
    const cut = await meet([redact("body"), redact("from.address"), redact("nothing.there")]);
    const letter = { body: "secret", from: { name: "Alice", address: "a@mail.example" }, subject: "hello" };
    const fitting = { from: { name: "Alice" }, subject: "hello" };
    expect(cut(letter)).toEqual(fitting);
    expect(cut([letter, [letter], "text", null])).toEqual([fitting, [fitting], "text", null]);
    expect(letter.body).toBe("secret");
  });

  test("so many times in a window, by subject and line", async () => {
    const { clock, meet, unmet } = setUp();
    clock.nowMs = 1_800_000_000_000;
    await meet([rate]);
    await meet([rate]);
    const refused = await unmet([rate]);
    expect(refused).toMatchObject({ code: "too_many_requests", rule: "slowly", retryAfterSeconds: 60 });
    await meet([rate], { subject: "usr_2" });
    await meet([{ ...rate, rule: "other" }]);
    clock.nowMs += 59_999;
    expect((await unmet([rate])).retryAfterSeconds).toBe(1);
    clock.nowMs += 1;
    await meet([rate]);
  });

  test("of a hundred at once exactly so many pass", async () => {
    const { meet } = setUp();
    const tries = Array.from({ length: 100 }, () => meet([{ ...rate, times: 7 }]));
    const passed = (await Promise.allSettled(tries)).filter(({ status }) => status === "fulfilled");
    expect(passed).toHaveLength(7);
  });

  test("who is to be told is, or it does not happen", async () => {
    const { deps, meet, told } = setUp();
    await meet([notify]);
    expect(told).toEqual(["security told"]);
    const deaf = { ...deps, notify: () => Promise.reject(new Error("nobody there")) };
    const asked = { subject: "usr_1", steppedUp: false, obligations: [notify] };
    await expect(meetObligations(deaf, asked)).rejects.toMatchObject({ code: "notice_failed" });
  });

  test("who has to prove again who they are does, and is challenged to", async () => {
    const { meet, unmet } = setUp();
    expect(await unmet([stepUp])).toMatchObject({ code: "insufficient_user_authentication", rule: "again" });
    await meet([stepUp], { steppedUp: true });
    expect(stepUpChallenge()).toMatch(/^DPoP error="insufficient_user_authentication"/);
    expect(stepUpChallenge("Bearer")).toMatch(/^Bearer /);
  });
});

describe("[RES-002] what is not understood is not met", () => {
  test.each<[string, unknown]>([
    ["a kind that nobody knows", { kind: "pray", rule: "r" }],
    ["a member beside", { ...stepUp, unless: "friday" }],
    ["a path that is none", redact("../body")],
    ["a rate without end", { ...rate, times: 0 }],
    ["no line", { kind: "step_up" }],
    ["nothing", null],
    ["a text", "redact:body"],
  ])("%s", async (_, one) => {
    const { unmet, told } = setUp();
    expect((await unmet([notify, one], { steppedUp: true })).code).toBe("obligation_unknown");
    // What is refused is told to nobody.
    expect(told).toEqual([]);
  });

  test("a request that is refused for another reason is not counted", async () => {
    const { meet, unmet } = setUp();
    for (let tried = 0; tried < 5; tried++) await unmet([rate, stepUp]);
    await meet([rate, stepUp], { steppedUp: true });
  });
});

test("[RES-003] counting ends where there is no room for more, and goes on when windows are over", async () => {
  const clock = { nowMs: 1_800_000_000_000 };
  const rates = countInMemory({ now: () => clock.nowMs });
  for (let subject = 0; subject < 100_000; subject++) await rates.count(`${subject}`, 1, 60);
  expect((await rates.count("one more", 1, 60)).counted).toBe(false);
  expect((await rates.count("0", 1, 60)).counted).toBe(false);
  clock.nowMs += 60_000;
  expect((await rates.count("one more", 1, 60)).counted).toBe(true);
});
