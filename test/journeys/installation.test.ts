import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemLog } from "@countersign/sdk/model/ids";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Installed, install } from "../../src/journeys/installation/install.ts";
import { operatorKeyPath } from "../../src/journeys/installation/operator-key-file.ts";
import type { AppendEntry } from "../../src/ledger/append.ts";
import { connectPatiently, openTestDatabase, type TestDatabase } from "../harness.ts";
import { checkLedger, readEntries } from "./read-log.ts";
import { issuer, startProcess, trustDomain } from "./server-process.ts";

const clock = { nowMs: 1_800_000_000_000 };
let database: TestDatabase;
let dataDir: string;
beforeEach(async () => {
  database = await openTestDatabase();
  dataDir = mkdtempSync(join(tmpdir(), "countersign-install-"));
});
afterEach(async () => {
  await checkLedger(database.db);
  await database.close();
  rmSync(dataDir, { recursive: true, force: true });
});

async function expectOneInstallation({ organization }: Installed): Promise<void> {
  const { db } = database;
  const typesOf = async (log: Parameters<typeof readEntries>[1]) =>
    (await readEntries(db, log)).map(({ type }) => type);
  expect(await typesOf(systemLog)).toEqual(["installation.created", "organization.created", "log.created"]);
  expect(await typesOf("default" as typeof systemLog)).toEqual(["resource.created", "operator.created"]);
  expect(organization).toBe("default");
  const [operators, credentials] = await Promise.all([
    db.prisma.operator.findMany(),
    db.prisma.credential.findMany(),
  ]);
  expect([operators.length, credentials.length]).toEqual([1, 1]);
  const file = JSON.parse(readFileSync(operatorKeyPath(dataDir), "utf8"));
  expect(file.clientId).toBe(`spiffe://id.example/org/default/operator/${operators[0]?.id}`);
  expect(JSON.parse(credentials[0]?.publicJwk ?? "")).toMatchObject({
    x: file.privateJwk.x,
    y: file.privateJwk.y,
  });
}

test("[INS-001] the first start makes the installation, and the next finds it", async () => {
  const { deps } = await startProcess(database.db, clock);
  const first = await install(deps, { issuer, trustDomain, dataDir });
  await expectOneInstallation(first);
  expect(await install(deps, { issuer, trustDomain, dataDir })).toEqual(first);
  await expectOneInstallation(first);
  expect((statSync(operatorKeyPath(dataDir)).mode & 0o777).toString(8)).toBe("600");
  expect((statSync(join(dataDir, "operator")).mode & 0o777).toString(8)).toBe("700");
});

test("[INS-001] several processes that start at once make one installation", async () => {
  const others = await Promise.all(
    [1, 2].map(async () => {
      const db = connectPatiently(database.target);
      return { ...(await startProcess(db, clock)), db };
    }),
  );
  const processes = [await startProcess(database.db, clock), ...others];
  const installed = await Promise.all(
    [...processes, ...processes].map(({ deps }) => install(deps, { issuer, trustDomain, dataDir })),
  );
  for (const one of installed) await expectOneInstallation(one);
  await Promise.all(others.map(({ db }) => db.close()));
});

// Five entries are made: the start dies before or after the commit of each.
test.each([1, 2, 3, 4, 5].flatMap((step) => [[step, "before"] as const, [step, "after"] as const]))(
  "[INS-001] a start that dies at entry %i, %s its commit, is taken up by the next",
  async (step, when) => {
    const { deps } = await startProcess(database.db, clock);
    let appended = 0;
    const dying: AppendEntry = async (log, request) => {
      if (++appended === step && when === "before") throw new Error("killed");
      const outcome = await deps.append(log, request);
      if (appended === step) throw new Error("killed");
      return outcome;
    };
    await expect(install({ ...deps, append: dying }, { issuer, trustDomain, dataDir })).rejects.toThrow(
      "killed",
    );
    await expectOneInstallation(await install(deps, { issuer, trustDomain, dataDir }));
  },
);

test("[INS-001] a second data directory on the same database gets no operator of its own", async () => {
  const { deps } = await startProcess(database.db, clock);
  const installed = await install(deps, { issuer, trustDomain, dataDir });
  const replica = mkdtempSync(join(tmpdir(), "countersign-replica-"));
  await install(deps, { issuer, trustDomain, dataDir: replica });
  expect(() => statSync(operatorKeyPath(replica))).toThrow();
  await expectOneInstallation(installed);
  rmSync(replica, { recursive: true });
});

test("[INS-001] issuer and trust domain are fixed at first start", async () => {
  const { deps } = await startProcess(database.db, clock);
  await install(deps, { issuer, trustDomain, dataDir });
  const moved = install(deps, { issuer: "https://other.example", trustDomain, dataDir });
  await expect(moved).rejects.toThrow(/^COUNTERSIGN_ISSUER is https:\/\/other\.example, but .*$/);
  const renamed = install(deps, { issuer, trustDomain: "other.example" as typeof trustDomain, dataDir });
  await expect(renamed).rejects.toThrow(/^COUNTERSIGN_TRUST_DOMAIN is other\.example, but .*$/);
});

test("[INS-001] an issuer and a trust domain that nobody asked for give way to those of the first start", async () => {
  const { deps } = await startProcess(database.db, clock);
  const first = await install(deps, { issuer, trustDomain, dataDir });
  const elsewhere = { issuer: "http://127.0.0.1:8461", trustDomain: "127.0.0.1" as typeof trustDomain };
  const assumed = ["issuer", "trustDomain"];
  expect(await install(deps, { ...elsewhere, dataDir, assumed })).toEqual(first);
});

test("a key file that is none, or another installation's, is left alone and told of", async () => {
  const { deps } = await startProcess(database.db, clock);
  await install(deps, { issuer, trustDomain, dataDir });
  const other = await openTestDatabase();
  const { deps: otherDeps } = await startProcess(other.db, clock);
  const elsewhere = { issuer: "https://b.example", trustDomain: "b.example" as typeof trustDomain, dataDir };
  await expect(install(otherDeps, elsewhere)).rejects.toThrow("of another installation");
  writeFileSync(operatorKeyPath(dataDir), "{}");
  await expect(install(otherDeps, elsewhere)).rejects.toThrow("is not an operator key");
  await other.close();
});
