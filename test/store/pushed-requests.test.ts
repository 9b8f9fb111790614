import { parseOrganizationId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Database } from "../../src/store/database.ts";
import {
  forgetExpiredPushedRequests,
  keepPushedRequest,
  usePushedRequest,
} from "../../src/store/pushed-requests.ts";
import { connectPatiently, openTestDatabase, type TestDatabase } from "../harness.ts";
import { must } from "../journeys/server-process.ts";

let database: TestDatabase;
let other: Database;
beforeAll(async () => {
  database = await openTestDatabase();
  other = connectPatiently(database.target);
  const named = { name: "An organization", createdAt: now };
  for (const id of [organization, elsewhere])
    await database.db.prisma.organization.create({ data: { id, ...named } });
});
afterAll(async () => {
  await other.close();
  await database.close();
});

const now = new Date("2026-11-25T12:00:00Z");
const organization = must(parseOrganizationId("default"));
const elsewhere = must(parseOrganizationId("elsewhere"));
const clientId = "spiffe://id.example/org/default/agent/agt_1";
const keep = (id: string) =>
  keepPushedRequest(database.db, {
    id,
    organization,
    clientId,
    payload: `{"request":"${id}"}`,
    expiresAt: after(60),
  });
const after = (seconds: number) => new Date(now.getTime() + seconds * 1000);

test("[ISS-005] of concurrent uses in several processes one gets the request", async () => {
  await keep("once");
  const uses = Array.from({ length: 20 }, (_, number) =>
    usePushedRequest(number % 2 === 0 ? database.db : other, { id: "once", organization, clientId, now }),
  );
  const got = (await Promise.all(uses)).filter((payload) => payload !== undefined);
  expect(got).toEqual(['{"request":"once"}']);
});

test("[ISS-005] another client gets nothing and uses nothing up; after a minute nobody does", async () => {
  await keep("mine");
  const stranger = `${clientId}x`;
  expect(
    await usePushedRequest(other, { id: "mine", organization: elsewhere, clientId, now }),
  ).toBeUndefined();
  expect(
    await usePushedRequest(other, { id: "mine", organization, clientId: stranger, now }),
  ).toBeUndefined();
  expect(
    await usePushedRequest(other, { id: "mine", organization, clientId, now: after(60) }),
  ).toBeUndefined();
  expect(await usePushedRequest(other, { id: "mine", organization, clientId, now: after(59) })).toBeDefined();
});

test("[ISS-005] the table holds no reference that can be used, and forgets what expired", async () => {
  await keep("secret-reference");
  expect(
    JSON.stringify(await database.db.prisma.pushedRequest.findMany({ select: { id: true } })),
  ).not.toContain("secret-reference");
  await forgetExpiredPushedRequests(other, after(61));
  expect(await database.db.prisma.pushedRequest.count()).toBe(0);
});
