import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { agentId, openFace, userId } from "./face.ts";

let face: Awaited<ReturnType<typeof openFace>>;
let operator: Awaited<ReturnType<typeof face.callerWith>>;
beforeAll(async () => {
  face = await openFace();
  operator = await face.callerWith("admin");
});
afterAll(() => face.close());

async function detailOf(method: string, path: string, body?: object): Promise<string> {
  const response = await operator.send(method, path, body);
  const problem = (await response.json()) as { code: string; detail: string };
  expect([response.status, problem.code]).toEqual([400, "invalid_request"]);
  return problem.detail;
}

describe("what is wrong with a request is told in our words, with the way to it and without what was sent", () => {
  const grant = { from_user: userId, to_agent: agentId, resource: "https://mail.example", scope: ["a"] };
  const passOn = { parent: userId.replace("usr", "dlg"), to_agent: agentId, scope: ["a"] };
  const aUri = "must be an absolute URI in its canonical spelling, such as https://mail.example.com";
  it.each<[string, object, string]>([
    ["a resource that is no URI", { ...grant, resource: "mail" }, `resource: ${aUri}`],
    ["the same of a child", { ...passOn, resource: "mail" }, `resource: ${aUri}`],
    ["an unknown member", { ...grant, budgets: {} }, "budgets: is not known here"],
    ["a member of a name that steers terminals", { ...grant, "\u009b31m": 1 }, "?: is not known here"],
    [
      "an unknown unit",
      { ...grant, budget: { Tokens: 1 } },
      "budget.Tokens: is not a name that is known here",
    ],
    ["a fraction", { ...grant, budget: { tokens: 0.5 } }, "budget.tokens: must be a whole number"],
    ["too many hops", { ...grant, max_depth: 16 }, "max_depth: must be at most 15"],
    ["no scope", { ...grant, scope: [] }, "scope: must have at least 1 member"],
    ["another type", { ...grant, scope: "a" }, "scope: must be a list"],
    [
      "a day without its time",
      { ...grant, expires_at: "2026-11-23" },
      "expires_at: must be a time with its offset, such as 2026-01-31T12:00:00Z",
    ],
    [
      "two things at once, deep down",
      { ...grant, onward: [{ agent: agentId, resource: "x" }] },
      `onward.0.resource: ${aUri}; onward.0.scope: is missing`,
    ],
  ])("%s", async (_what, body, detail) => {
    expect(await detailOf("POST", "/v1/delegations", body)).toBe(detail);
  });

  it("a query, a choice and a whole body", async () => {
    expect(await detailOf("GET", "/v1/agents?limit=x&kind=boss")).toBe(
      "limit: must be a number; kind: must be one of manager, worker, tool",
    );
    expect(await detailOf("POST", "/v1/users", [])).toBe("must be an object");
    expect(await detailOf("POST", "/v1/users", { name: "A", email: "a" })).toBe(
      "email: must be an e-mail address",
    );
  });
});
