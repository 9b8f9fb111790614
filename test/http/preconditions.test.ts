import { agentChangedSchema } from "@countersign/sdk/contract/agents";
import type { LogId, OrganizationId, UserId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Agent } from "../../src/domain/agent.ts";
import type { Demands } from "../../src/journeys/record/append-demanded.ts";
import type { RevocationReceipt } from "../../src/journeys/revocation-receipt.ts";
import { agentId, openFace, userId } from "./face.ts";

const receipt: RevocationReceipt = {
  revoked: { kind: "agent", id: agentId },
  ledger: { log: "default" as LogId, index: 7 },
  treeSize: 8,
  reach: { delegations: 0, agents: 0 },
  atMs: 0,
  signed: "a.signed.receipt",
};
const ledger = { log: "default" as LogId, index: 7 };
const agent = (status: Agent["status"]): Agent => ({
  id: agentId as Agent["id"],
  organization: "default" as OrganizationId,
  owner: userId as UserId,
  ownerStatus: "active",
  tenure: 1,
  expiresAtMs: undefined,
  name: "mailer",
  kind: "worker",
  status,
  createdAtMs: Date.parse("2026-11-23T12:00:00Z"),
});

let found: Agent | undefined;
let held = 0;
let stoppedAtMs: number | undefined;
const demanded: (Demands | undefined)[] = [];
let face: Awaited<ReturnType<typeof openFace>>;
let operator: Awaited<ReturnType<typeof face.callerWith>>;
beforeAll(async () => {
  face = await openFace({
    records: {
      findAgent: async () => found,
      agentRecord: async () => ({ thumbprints: [], stoppedAtMs, held, given: 0 }),
      listAgents: async (_organization, { limit }) => (found ? Array(limit).fill(found) : []),
    },
    journeys: {
      stopAgent: async ({ status, context }) => {
        demanded.push(context.demands);
        return { ...agent(status), ledger, receipt };
      },
      revokeTokenById: () => Promise.reject(new Error("unexpected")),
    },
  });
  operator = await face.callerWith("admin");
});
beforeEach(() => {
  found = agent("active");
  [held, stoppedAtMs] = [0, undefined];
  demanded.length = 0;
});
afterAll(() => face.close());

const path = `/v1/agents/${agentId}`;
const read = (headers: Record<string, string> = {}) => operator.send("GET", path, undefined, headers);
const suspend = (headers: Record<string, string>) =>
  operator.send("POST", `${path}/suspend`, undefined, headers);
const etagOf = async () => (await read()).headers.get("etag") ?? "";

describe("whoever reads one thing", () => {
  it("gets a strong ETag that changes with the thing, and 304 as long as it has not", async () => {
    const first = await etagOf();
    expect(first).toMatch(/^"[\w-]{32}\.[\w-]{32}"$/);
    for (const sent of [first, `W/${first}`, `"another", ${first}`, "*"]) {
      const again = await read({ "if-none-match": sent });
      expect([again.status, again.headers.get("etag"), await again.text()]).toEqual([304, first, ""]);
    }
    found = agent("suspended");
    const changed = await read({ "if-none-match": first });
    expect(changed.status).toBe(200);
    expect(changed.headers.get("etag")).not.toBe(first);
  });

  it("reads a list from page to page by its links", async () => {
    const page = await operator.send("GET", "/v1/agents?limit=2");
    expect(page.headers.get("link")).toBe(`<${face.issuer}/v1/agents?limit=2&cursor=${agentId}>; rel="next"`);
    found = undefined;
    expect((await operator.send("GET", "/v1/agents?limit=2")).headers.get("link")).toBeNull();
  });
});

describe("a change", () => {
  it("[API-004] is made to a thing that has one of the tags, and its commit demands all that changes can change of it", async () => {
    const etag = await etagOf();
    for (const sent of [etag, `"another", ${etag}`, "*"]) {
      expect(agentChangedSchema.parse(await (await suspend({ "if-match": sent })).json()).status).toBe(
        "suspended",
      );
    }
    const conditions = [
      { on: "agent", id: agentId, status: ["active"], tenure: 1, unstoppedSince: "-infinity" },
    ];
    expect(demanded).toEqual(Array(3).fill({ writes: [], conditions }));
  });

  it("[API-004] is refused with 412, and recorded as refused, where the thing has none of them", async () => {
    const etag = await etagOf();
    const before = face.refused.length;
    for (const sent of [`"another"`, `W/${etag}`, etag.slice(1, -1), ""]) {
      const response = await suspend({ "if-match": sent });
      expect([response.status, await response.json()]).toMatchObject([412, { code: "precondition_failed" }]);
    }
    found = agent("suspended");
    expect((await suspend({ "if-match": etag })).status).toBe(412);
    expect(demanded).toEqual([]);
    expect(face.refused.length - before).toBe(5);
  });

  it("[API-004] is made whatever counts moved since, which a reader is told of all the same", async () => {
    const etag = await etagOf();
    held = 1;
    expect((await read({ "if-none-match": etag })).status).toBe(200);
    expect((await suspend({ "if-match": etag })).status).toBe(200);
  });

  it("[API-004] is refused with 412 where owner or stops are others, though the status is the same", async () => {
    const etag = await etagOf();
    found = { ...agent("active"), tenure: 2 };
    expect((await suspend({ "if-match": etag })).status).toBe(412);
    found = agent("active");
    stoppedAtMs = found.createdAtMs;
    expect((await suspend({ "if-match": etag })).status).toBe(412);
  });

  it("[API-004] is refused with 412 where there is nothing to compare", async () => {
    found = undefined;
    expect((await suspend({ "if-match": "*" })).status).toBe(412);
    const token = "/v1/tokens/tok_01arz3ndektsv4rrffq69g5fav/revoke";
    expect((await operator.send("POST", token, undefined, { "if-match": "*" })).status).toBe(412);
  });

  it("needs no tag: an emergency stop reads nothing first", async () => {
    expect((await suspend({})).status).toBe(200);
    expect(demanded).toEqual([undefined]);
  });
});
