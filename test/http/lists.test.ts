import { listActionReports } from "@countersign/sdk/contract/actions";
import { type Operation, pathOf } from "@countersign/sdk/contract/operation";
import { operations } from "@countersign/sdk/contract/operations";
import { listReach } from "@countersign/sdk/contract/revocations";
import { signingKeyListSchema } from "@countersign/sdk/contract/signing-keys";
import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { agentId, type FaceOptions, openFace, userId } from "./face.ts";

let face: Awaited<ReturnType<typeof openFace>> | undefined;
afterEach(() => face?.close());
const open = async (options?: FaceOptions) => {
  face = await openFace(options);
  return face;
};

const takesCursor = ({ query }: Operation) => query instanceof z.ZodObject && "cursor" in query.shape;
const lists = operations.filter(takesCursor).map((operation) => [operation.name, operation] as const);
const pathTo = (operation: Operation) => {
  const id = operation.path.startsWith("/v1/trusted-issuers") ? agentId.replace("agt_", "iss_") : agentId;
  return pathOf(operation, (name) => (name === "index" ? "0" : id));
};

describe("[API-005] every list", () => {
  it("is among those that are tried", () => {
    const answersPages = operations.filter(
      ({ method, answer }) => method === "get" && answer instanceof z.ZodObject && "items" in answer.shape,
    );
    // What would be reached is shown in its first part, and an agent's history goes by `before`, the index of an entry.
    const others = answersPages.filter((operation) => !takesCursor(operation)).map(({ name }) => name);
    expect(others.sort()).toEqual(["getAgentHistory", "getAgentReach", "getDelegationReach", "getUserReach"]);
  });

  it.each(lists)("%s refuses a cursor that none of its pages gave, and says so", async (_name, operation) => {
    const operator = await (await open()).callerWith(operation.anyOf[0] ?? "admin");
    const damaged = [
      "",
      "zzz",
      "-1",
      "1.5",
      `${userId.slice(0, -1)}`,
      `${userId}0`,
      userId.toUpperCase(),
      "tok_0",
    ];
    for (const cursor of damaged) {
      const query = new URLSearchParams({ cursor });
      const response = await operator.send("GET", `${pathTo(operation)}?${query}`);
      const { code, detail } = z
        .looseObject({ code: z.string(), detail: z.string() })
        .parse(await response.json());
      expect([response.status, code], cursor).toEqual([400, "invalid_request"]);
      expect(detail).toContain("cursor: must be the `next` of a page of this list");
    }
  });

  it("refuses the cursor of another list", async () => {
    const operator = await (await open()).callerWith("admin");
    const agents = `/v1/agents?cursor=${userId}`;
    const reach = `${pathTo(listReach)}?cursor=${userId}`;
    const reports = `${pathTo(listActionReports)}?cursor=${agentId}`;
    for (const path of [agents, reach, reports]) expect((await operator.send("GET", path)).status).toBe(400);
  });
});

it("[API-005] the signing keys are listed page by page, in the order of time", async () => {
  const keyOf = (place: number) => ({
    // Thumbprints sort otherwise than the keys were made.
    id: `${9 - place}`.repeat(43),
    purpose: "token" as const,
    logId: null,
    algorithm: "ES256" as const,
    status: "retired" as const,
    publicJwk: { kty: "EC", crv: "P-256", x: "x", y: "y" } as never,
    createdAt: new Date(place),
    activatedAt: null,
    retiredAt: null,
  });
  const keys = [0, 1, 2, 3, 4].map(keyOf);
  const { callerWith } = await open({ records: { listSigningKeys: async () => keys } });
  const operator = await callerWith("admin");
  const read = async (query: string) =>
    signingKeyListSchema
      .extend({ next: z.string().optional() })
      .parse(await (await operator.send("GET", `/v1/keys${query}`)).json());
  const ids: string[] = [];
  let next: string | undefined;
  do {
    const page = await read(next === undefined ? "?limit=2" : `?limit=2&cursor=${next}`);
    expect(page.items.length).toBeLessThanOrEqual(2);
    ids.push(...page.items.map(({ id }) => id));
    next = page.next;
  } while (next !== undefined);
  expect(ids).toEqual(keys.map(({ id }) => id));
  const unknown = await operator.send("GET", `/v1/keys?cursor=${"A".repeat(43)}`);
  expect(await unknown.json()).toMatchObject({ status: 400, code: "invalid_request" });
});
