import { parseOrganizationId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, expect, test } from "vitest";
import { forgetExpiredRevocations, isTokenRevoked } from "../../src/store/revoked-tokens.ts";
import { openTestDatabase, type TestDatabase } from "../harness.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

test("a revocation is remembered for as long as any host could take the token for live", async () => {
  const { db } = database;
  const organization = parseOrganizationId("default");
  if (organization === undefined) throw new Error("`default` is an organization's name");
  const nowMs = Date.UTC(2026, 10, 23);
  await db.prisma.organization.create({
    data: { id: organization, name: organization, createdAt: new Date(nowMs) },
  });
  const minutesAgo = { live: -1, "expired just now": 0, "expired 9 minutes ago": 9, "expired long ago": 11 };
  for (const [jti, minutes] of Object.entries(minutesAgo)) {
    const expiresAt = new Date(nowMs - minutes * 60_000);
    const row = { jti, organizationId: organization, expiresAt, createdAt: new Date(nowMs) };
    await db.prisma.revokedToken.create({ data: row });
  }
  await forgetExpiredRevocations(db, new Date(nowMs));
  const remembered = await Promise.all(
    Object.keys(minutesAgo).map((jti) => isTokenRevoked(db, organization, jti)),
  );
  expect(remembered).toEqual([true, true, true, false]);
});
