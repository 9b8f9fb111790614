import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LedgerEntryBody } from "@countersign/sdk/contract/ledger-entry";
import { type LogId, logOf, parseOrganizationId, systemLog } from "@countersign/sdk/model/ids";
import { type ExportVerdict, verifyExport } from "@countersign/sdk/tlog/export";
import type { AppendEntry } from "../../src/ledger/append.ts";
import { checkNotBehind } from "../../src/ledger/check-log.ts";
import { type CheckpointMemory, openCheckpointMemory } from "../../src/ledger/checkpoint-memory.ts";
import { exportLog } from "../../src/ledger/export.ts";
import { createPublisher, type Publisher } from "../../src/ledger/publisher.ts";
import { createSequencer, type Sequencer } from "../../src/ledger/sequencer.ts";
import { sha256 } from "../../src/ledger/sha256.ts";
import type { StoredDecisionInput } from "../../src/store/ledger-evidence.ts";
import { findLog } from "../../src/store/logs.ts";
import type { TestDatabase } from "../harness.ts";
import { type NoteKey, newNoteKey } from "../tlog/note-key.ts";

/** An organization's log, for tests: `acme`. */
export const acme = parseOrganizationId("acme") ?? failed("acme is an organization's name");
export const acmeLog: LogId = logOf(acme);
const aDayMs = 24 * 60 * 60_000;
export const originOf = (log: LogId) => `127.0.0.1:8460/log/${log}`;

export function failed(what: string): never {
  throw new Error(what);
}

/** A ledger of two logs, `acme` and `system`, that the product's own sequencer and publisher write to. */
export interface TestLedger {
  readonly database: TestDatabase;
  readonly db: TestDatabase["db"];
  readonly dataDir: string;
  readonly memory: CheckpointMemory;
  readonly keys: Map<LogId, NoteKey[]>;
  /** Publishes only what it is told to: what a test does to the database must not meet a look of its own. */
  readonly publisher: Publisher;
  readonly append: AppendEntry;
  /** Appends so many entries to `acme`, and publishes. */
  grow(entries: number, body?: (i: number) => LedgerEntryBody): Promise<void>;
  /** Exports `acme` and verifies the export with its key. */
  verify(): Promise<ExportVerdict>;
  exportLines(): Promise<string[]>;
  /** What went wrong in the background. */
  readonly failures: unknown[];
  readonly clock: { ms: number };
  close(): Promise<void>;
}

export const entryBody = (i: number): LedgerEntryBody => ({
  type: "token.issued",
  organization: acme,
  actor: { kind: "system", id: "test" },
  jti: `tok_${i}`,
});

/**
 * Opens a ledger with two empty logs.
 *
 * @param given where; without it a database of this test run, which only vitest can tell of
 */
export async function openTestLedger(given?: TestDatabase): Promise<TestLedger> {
  const database = given ?? (await (await import("../harness.ts")).openTestDatabase());
  const { db } = database;
  const dataDir = await mkdtemp(join(tmpdir(), "countersign-ledger-"));
  const memory = await openCheckpointMemory(dataDir);
  const keys = new Map<LogId, NoteKey[]>();
  await db.prisma.organization.create({ data: { id: acme, name: "Acme", createdAt: new Date() } });
  await db.prisma.dataKey.create({
    data: { id: "1", kekId: "k", wrapped: Buffer.from("k"), createdAt: new Date() },
  });
  for (const log of [acmeLog, systemLog]) {
    const organizationId = log === systemLog ? null : acme;
    await db.prisma.log.create({
      data: { id: log, organizationId, origin: originOf(log), createdAt: new Date() },
    });
    keys.set(log, [await addLogKey(db, log, "active")]);
  }
  const failures: unknown[] = [];
  const clock = { ms: Date.parse("2026-11-20T10:00:00Z") };
  const sequencer = sequencerOf(db, memory);
  const publisher = createPublisher({
    db,
    memory,
    append: sequencer.append,
    logSigners: (log) => keys.get(log) ?? [],
    now: () => clock.ms,
    onFailed: (error) => failures.push(error),
    lookEveryMs: aDayMs,
  });
  const exportLines = async () => {
    const lines: string[] = [];
    const openInput = ({ sealed }: StoredDecisionInput) => Buffer.from(sealed).toString("utf8");
    for await (const line of exportLog({ db, openInput }, acmeLog)) lines.push(line);
    return lines;
  };
  return {
    database,
    db,
    dataDir,
    memory,
    keys,
    publisher,
    append: sequencer.append,
    exportLines,
    failures,
    clock,
    async grow(entries, body = entryBody) {
      await Promise.all(
        Array.from({ length: entries }, (_, i) => sequencer.append(acmeLog, { entry: body(i) })),
      );
      await publisher.publishNow(acmeLog);
    },
    async verify() {
      const vkeys = keys.get(acmeLog)?.map(({ vkey }) => vkey) ?? [];
      return verifyExport(stream(await exportLines()), { vkeys, sha256 });
    },
    async close() {
      await publisher.close();
      await sequencer.close();
      await database.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** A sequencer on this database; without a memory it does not care what was signed before. */
export function sequencerOf(db: TestDatabase["db"], memory?: CheckpointMemory): Sequencer {
  return createSequencer({
    db,
    now: Date.now,
    randomBytes: (size) => randomBytes(size),
    originOf: async (log) => (await findLog(db, log))?.origin,
    checkNotBehind: async (log) => {
      if (memory !== undefined) await checkNotBehind({ db, memory }, log);
    },
    onCommitted: () => undefined,
  });
}

/** Makes a key of a log and stores its public half. */
export async function addLogKey(
  db: TestDatabase["db"],
  log: LogId,
  status: "active" | "retired",
): Promise<NoteKey> {
  const key = newNoteKey(originOf(log));
  const { x } = key.publicKey.export({ format: "jwk" });
  await db.prisma.signingKey.create({
    data: {
      id: `${log} ${key.keyId}`,
      purpose: "log",
      logId: log,
      algorithm: "EdDSA",
      publicJwk: JSON.stringify({ kty: "OKP", crv: "Ed25519", x }),
      sealed: Buffer.from("sealed"),
      dataKeyId: "1",
      status,
      createdAt: new Date(),
    },
  });
  return key;
}

export async function* stream<Item>(items: Iterable<Item>): AsyncGenerator<Item> {
  yield* items;
}
