import { problemSchema } from "@countersign/sdk/contract/problem";
import type { LogId, OrganizationId, UserId } from "@countersign/sdk/model/ids";
import { afterEach, describe, expect, it } from "vitest";
import { DomainError } from "../../src/domain/domain-error.ts";
import type { User } from "../../src/domain/user.ts";
import type { LogSource } from "../../src/http/log-source.ts";
import { type FaceOptions, openFace, operatorId, refusing, userId } from "./face.ts";

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const face of opened.splice(0)) await face.close();
});
async function open(options: FaceOptions = {}) {
  const face = await openFace(options);
  opened.push(face);
  return face;
}

async function problemOf(response: Response) {
  expect(response.headers.get("content-type")).toContain("application/problem+json");
  const problem = problemSchema.parse(await response.json());
  expect(problem.status).toBe(response.status);
  return problem;
}

const alice: User = {
  id: userId as UserId,
  organization: "default" as OrganizationId,
  status: "active",
  createdAtMs: Date.parse("2026-11-23T12:00:00Z"),
  name: "Alice",
  email: undefined,
};
const ledger = { log: "default" as LogId, index: 7 };
const creatingAlice = { journeys: { createUser: async () => ({ ...alice, ledger }) } };

const find: LogSource["find"] = async (id) => ({ id, public: false });
const withLogs = { deps: { logs: refusing<LogSource>({ find }) } };

describe("an authenticated call", () => {
  it("answers 201 with the thing made and where that is recorded", async () => {
    const face = await open(creatingAlice);
    const operator = await face.callerWith("admin");
    const response = await operator.send("POST", "/v1/users", { name: "Alice" });
    expect(response.status).toBe(201);
    expect(await response.json()).toEqual({
      id: userId,
      organization: "default",
      name: "Alice",
      status: "active",
      created_at: "2026-11-23T12:00:00.000Z",
      ledger,
    });
  });

  it("gives the journey the caller, the request id that the answer bears and the token's transaction", async () => {
    const seen: unknown[] = [];
    const face = await open({
      journeys: {
        createUser: async ({ caller, context, name }) => {
          seen.push(caller.kind, context, name);
          return { ...alice, ledger };
        },
      },
    });
    const operator = await face.callerWith("admin");
    const response = await operator.send(
      "POST",
      "/v1/users",
      { name: "Alice" },
      { "x-request-id": "my-own-request" },
    );
    expect(response.headers.get("x-request-id")).toBe("my-own-request");
    const context = { requestId: "my-own-request", txn: "txn_of_the_token" };
    expect(seen).toEqual(["operator", context, "Alice"]);
  });

  it("answers a list by pages with the cursor of the next", async () => {
    const face = await open({
      records: { listUsers: async (_organization, { limit }) => Array(limit).fill(alice) },
    });
    const operator = await face.callerWith("admin");
    const page = (await (await operator.send("GET", "/v1/users?limit=2")).json()) as {
      items: [];
      next: string;
    };
    expect([page.items.length, page.next]).toEqual([2, userId]);
  });
});

describe("refuses", () => {
  it("a request without a token, before its body is read, and says which scheme to use", async () => {
    const face = await open();
    const response = await fetch(`${face.issuer}/v1/users`, { method: "POST", body: "{".repeat(10) });
    expect((await problemOf(response)).code).toBe("unauthenticated");
    expect(response.headers.get("www-authenticate")).toBe('DPoP algs="ES256"');
  });

  it("a token of another scope, which is recorded under the caller's name before the answer", async () => {
    const face = await open(withLogs);
    const auditor = await face.callerWith("audit");
    expect((await problemOf(await auditor.send("POST", "/v1/users", { name: "A" }))).code).toBe(
      "insufficient_scope",
    );
    const admin = await face.callerWith("admin");
    await admin.send("GET", "/log/default/export", undefined, { "x-request-id": "my-own-request" });
    expect(face.refused).toMatchObject([
      { caller: operatorId, endpoint: "POST /v1/users", context: { txn: "txn_of_the_token" } },
      { endpoint: "GET /log/:log/export", context: { requestId: "my-own-request" } },
    ]);
    expect(face.failures).toEqual([]);
  });

  it("with 503 where that can't be recorded", async () => {
    const unavailable = new DomainError("ledger_unavailable", "the database does not answer");
    const face = await open({ journeys: { refuseRequest: () => Promise.reject(unavailable) } });
    const auditor = await face.callerWith("audit");
    expect((await problemOf(await auditor.send("GET", "/v1/users"))).code).toBe("ledger_unavailable");
  });

  it("who can't prove who it is, and tells of each by what failed and where", async () => {
    const face = await open(withLogs);
    const operator = await face.callerWith("admin");
    const headers = await operator.headersFor("GET", "/v1/users");
    for (const path of ["/v1/users", "/v1/users?limit=1", `/v1/users/${userId}`, "/log/default/entry/0"]) {
      await fetch(`${face.issuer}${path}`);
    }
    await fetch(`${face.issuer}/v1/agents`, { headers });
    const [v1, log] = ["/v1", "/log"].map((endpoint) => ({ reason: "proof_missing", endpoint }));
    expect(face.failures).toEqual([v1, v1, v1, log, { reason: "proof_mismatch", endpoint: "/v1" }]);
    expect(face.refused).toEqual([]);
  });

  it("a token that is no longer live", async () => {
    const face = await open({ deps: { isLive: async () => false } });
    const operator = await face.callerWith("admin");
    expect((await problemOf(await operator.send("GET", "/v1/users"))).code).toBe("invalid_token");
    expect(face.failures).toEqual([{ reason: "invalid_token", endpoint: "/v1" }]);
  });

  it("a proof that was used before", async () => {
    const face = await open({ records: { listUsers: async () => [] } });
    const operator = await face.callerWith("admin");
    const headers = await operator.headersFor("GET", "/v1/users");
    expect((await fetch(`${face.issuer}/v1/users`, { headers })).status).toBe(200);
    expect((await problemOf(await fetch(`${face.issuer}/v1/users`, { headers }))).code).toBe("invalid_token");
  });

  it("a User's wish asserted under an agent's token", async () => {
    const face = await open();
    const agent = await face.callerWith("delegate", "agent");
    const body = {
      from_user: userId,
      to_agent: userId.replace("usr", "agt"),
      resource: "https://mail.example",
      scope: ["a"],
    };
    expect((await problemOf(await agent.send("POST", "/v1/delegations", body))).code).toBe(
      "insufficient_scope",
    );
  });

  const malformed: Record<string, [string | object, string]> = {
    "a body that is no JSON": ["{", "invalid_request"],
    "a body of another shape": [[], "invalid_request"],
    "an unknown member": [{ name: "A", admin: true }, "invalid_request"],
    "a NUL in a name": [{ name: "A\0" }, "invalid_request"],
    "a lone surrogate in a name": ['{"name":"\\ud800"}', "invalid_request"],
    "an empty name": [{ name: "" }, "invalid_request"],
    "a name of 201 characters": [{ name: "a".repeat(201) }, "invalid_request"],
    "an e-mail address that is none": [{ name: "A", email: "a" }, "invalid_request"],
    "a body nested 17 levels deep": [`{"name":${"[".repeat(17)}${"]".repeat(17)}}`, "invalid_request"],
    "a body of more than 64 KiB": [{ name: "a".repeat(70_000) }, "payload_too_large"],
  };
  for (const [name, [body, code]] of Object.entries(malformed)) {
    it(name, async () => {
      const face = await open();
      const operator = await face.callerWith("admin");
      expect((await problemOf(await operator.send("POST", "/v1/users", body))).code).toBe(code);
    });
  }

  it.each([
    ["/v1/users", "admin", 64],
    ["/access/v1/evaluations", "evaluate", 1024],
  ])("a body larger than %s takes, and tells its bound", async (path, scope, kib) => {
    const face = await open();
    const caller = await face.callerWith(scope);
    const problem = await problemOf(await caller.send("POST", path, { name: "a".repeat(kib * 1024) }));
    expect(problem).toMatchObject({
      code: "payload_too_large",
      detail: `the body is larger than ${kib} KiB`,
    });
  });

  it("a compressed body", async () => {
    const face = await open();
    const operator = await face.callerWith("admin");
    const response = await operator.send("POST", "/v1/users", { name: "A" }, { "content-encoding": "gzip" });
    expect((await problemOf(response)).code).toBe("invalid_request");
  });

  it("a body that does not say it is JSON", async () => {
    const face = await open();
    const operator = await face.callerWith("admin");
    const response = await operator.send(
      "POST",
      "/v1/users",
      { name: "A" },
      { "content-type": "text/plain" },
    );
    expect((await problemOf(response)).code).toBe("invalid_request");
  });

  const strangers = [
    "/v1/users/nobody",
    `/v1/users/${userId}`,
    `/v1/users/${userId.toUpperCase()}`,
    "/v1/users/%00",
  ];
  it("an id of nobody, of another spelling and of another organization with one and the same answer", async () => {
    const face = await open({ records: { findUser: async () => undefined } });
    const operator = await face.callerWith("admin");
    const answers = [];
    for (const path of strangers) {
      const { request_id: _, ...problem } = await problemOf(await operator.send("GET", path));
      answers.push(problem);
    }
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(answers[0]?.code).toBe("not_found");
  });

  const nowhere = ["/", "/v1", "/v1/USERS", "/v1/users/", "//v1/users", "/%"];
  it.each(nowhere)("the path %s, which is none of ours", async (path) => {
    const face = await open();
    const response = await fetch(`${face.issuer}${path}`);
    expect([400, 404]).toContain((await problemOf(response)).status);
  });
});

describe("a failure inside", () => {
  it("is told as `internal` with a request id, and nothing of what went wrong", async () => {
    const face = await open({
      records: { listUsers: () => Promise.reject(new Error("relation user does not exist")) },
    });
    const operator = await face.callerWith("admin");
    const problem = await problemOf(await operator.send("GET", "/v1/users"));
    expect(problem.code).toBe("internal");
    expect(JSON.stringify(problem)).not.toContain("relation");
    expect(face.logged.join("")).toContain("relation user does not exist");
  });

  it("of the database is a 503 that says when to come back", async () => {
    const outage = new Error("ECONNREFUSED");
    const face = await open({
      records: { listUsers: () => Promise.reject(outage) },
      deps: { isOutage: (error) => error === outage },
    });
    const operator = await face.callerWith("admin");
    const response = await operator.send("GET", "/v1/users");
    expect(response.headers.get("retry-after")).toBe("2");
    expect((await problemOf(response)).code).toBe("ledger_unavailable");
  });

  it("of our own contract is never blamed on the caller", async () => {
    const face = await open({ records: { findUser: async () => ({ ...alice, name: "" }) } });
    const operator = await face.callerWith("admin");
    expect((await problemOf(await operator.send("GET", `/v1/users/${userId}`))).code).toBe("internal");
  });

  it("that a journey names is told with its code and its page", async () => {
    const face = await open({
      journeys: { createUser: () => Promise.reject(new DomainError("entry_refused", "too large")) },
    });
    const operator = await face.callerWith("admin");
    const problem = await problemOf(await operator.send("POST", "/v1/users", { name: "A" }));
    expect([problem.status, problem.type]).toEqual([400, `${face.issuer}/docs/errors/entry_refused`]);
  });
});

describe("every answer", () => {
  it.each(["bad id\t", "short", "x".repeat(65), '{"a":1234567}', "a,b,c,d,e"])(
    "bears a request id of its own where the caller's is %j",
    async (sent) => {
      const face = await open();
      for (const path of ["/healthz", "/token"]) {
        const { headers } = await fetch(`${face.issuer}${path}`, { headers: { "x-request-id": sent } });
        expect(headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{32}$/);
      }
    },
  );

  it("bears the security headers", async () => {
    const face = await open();
    const { headers } = await fetch(`${face.issuer}/healthz`);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(headers.get("x-powered-by")).toBeNull();
  });
});

it("hands the OAuth endpoints to their own face", async () => {
  const face = await open();
  expect(await (await fetch(`${face.issuer}/token`, { method: "POST" })).text()).toBe("oauth");
});

it("logs no token, proof, key or password, whatever fails", async () => {
  const secret = new Error('connect postgres://u:hunter2@db failed for {"d":"privatepart"}');
  const face = await open({ records: { listUsers: () => Promise.reject(secret) } });
  const operator = await face.callerWith("admin");
  const withToken = Object.assign(new Error(`bad token ${operator.accessToken}`), {
    payload: { sub: "claimed" },
  });
  secret.cause = withToken;
  await operator.send("GET", `/v1/users?cursor=${operator.accessToken.slice(0, 60)}`);
  await operator.send("GET", `/v1/users?cursor=${userId}`);
  const log = face.logged.join("");
  expect(log).toContain("request failed");
  expect(log).toContain('"txn":"txn_of_the_token"');
  for (const kept of ["hunter2", "privatepart", operator.accessToken.slice(0, 40), "claimed"]) {
    expect(log).not.toContain(kept);
  }
});

it("serves the page that a problem points to, and no other file", async () => {
  const face = await open();
  const problem = await problemOf(await fetch(`${face.issuer}/nowhere`));
  const page = await fetch(problem.type);
  expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/markdown; charset=utf-8"]);
  expect((await fetch(`${problem.type}.md`)).status).toBe(200);
  for (const path of ["..%2f..%2fpackage.json", "nothing", "not_found.json", "..%2fapi.md"]) {
    expect((await fetch(`${face.issuer}/docs/errors/${path}`)).status).toBe(404);
  }
});
