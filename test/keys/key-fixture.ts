import { randomBytes } from "node:crypto";
import { type LogId, parseLogId, systemLog } from "@countersign/sdk/model/ids";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { AuthorityDeps } from "../../src/journeys/keys/authorities.ts";
import { createKeys } from "../../src/journeys/keys/create.ts";
import { type KeyEncryptionKey, keyEncryptionKeyOf } from "../../src/keys/key-encryption-key.ts";
import { type KeyRing, openKeyRing } from "../../src/keys/key-ring.ts";
import { openSealer, type Sealer } from "../../src/keys/sealer.ts";
import { unsealSigningKey } from "../../src/keys/signing-key.ts";
import { createSequencer, type Sequencer } from "../../src/ledger/sequencer.ts";
import type { Database } from "../../src/store/database.ts";
import { listSigningKeys } from "../../src/store/signing-keys.ts";
import { createSignatureVerifier } from "../../src/svid/verify-signature.ts";
import { connectPatiently, openTestDatabase, type TestDatabase } from "../harness.ts";

export const aLog = parseLogId("default") as LogId;
export const originOf = (log: LogId) => `issuer.example/log/${log}`;
const trustDomain = "issuer.example" as TrustDomain;
export const aDayMs = 24 * 60 * 60_000;

/** A clock that stands until it is moved. */
export interface Clock {
  readonly now: () => number;
  readonly advance: (ms: number) => void;
}

export function createClock(startMs = Date.UTC(2026, 10, 23)): Clock {
  let nowMs = startMs;
  return {
    now: () => nowMs,
    advance: (ms) => {
      nowMs += ms;
    },
  };
}

export function aKeyEncryptionKey(): KeyEncryptionKey {
  return keyEncryptionKeyOf({ randomBytes }, randomBytes(32));
}

/** What one server process has of the keys. */
export interface Replica {
  readonly db: Database;
  readonly sealer: Sealer;
  readonly ring: KeyRing;
  readonly sequencer: Sequencer;
  readonly deps: AuthorityDeps;
  readonly close: () => Promise<void>;
}

/** A database with two logs, and as many replicas on it as a test opens. */
export interface Installation {
  readonly database: TestDatabase;
  readonly clock: Clock;
  readonly kek: KeyEncryptionKey;
  readonly openReplica: () => Promise<Replica>;
  readonly close: () => Promise<void>;
}

export async function openInstallation(): Promise<Installation> {
  const database = await openTestDatabase();
  const clock = createClock();
  const kek = aKeyEncryptionKey();
  const replicas: Replica[] = [];
  const createdAt = new Date(clock.now());
  const { prisma } = database.db;
  await prisma.organization.create({ data: { id: aLog, name: "default", createdAt } });
  await prisma.log.create({ data: { id: systemLog, origin: originOf(systemLog), createdAt } });
  await prisma.log.create({ data: { id: aLog, organizationId: aLog, origin: originOf(aLog), createdAt } });

  async function openReplica(): Promise<Replica> {
    const replica = await openReplicaOn(database, clock, kek);
    replicas.push(replica);
    return replica;
  }
  async function close(): Promise<void> {
    for (const replica of replicas) await replica.close();
    await database.close();
  }
  return { database, clock, kek, openReplica, close };
}

async function openReplicaOn(
  { target }: TestDatabase,
  { now }: Clock,
  kek: KeyEncryptionKey,
): Promise<Replica> {
  const db = connectPatiently(target);
  const sealer = await openSealer({ db, kek, now, randomBytes });
  const ring = await openKeyRing({
    db,
    sealer,
    trustDomain,
    now,
    onReloadFailed: (error) => console.error(error),
  });
  const sequencer = createSequencer({
    db,
    now,
    randomBytes,
    originOf: async (log) => originOf(log),
    checkNotBehind: async () => undefined,
    onCommitted: () => undefined,
  });
  const deps = {
    db,
    sealer,
    now,
    append: sequencer.append,
    reloadKeys: ring.reload,
    trustDomain,
    randomBytes,
    upstream: undefined,
    verifySignature: createSignatureVerifier(),
  };
  async function close(): Promise<void> {
    await sequencer.close();
    await ring.close();
    await db.close();
  }
  return { db, sealer, ring, sequencer, deps, close };
}

export const theSystem = { kind: "system", id: "test" } as const;

/** Makes the first keys: of tokens, and of both logs. */
export async function createFirstKeys({ deps }: Replica): Promise<void> {
  const logs = [systemLog, aLog].map((id) => ({ id, origin: originOf(id) }));
  await createKeys(deps, { logs, by: theSystem });
}

/** The entries of the system log, oldest first. */
export async function systemEntries({ db }: Replica): Promise<readonly Record<string, unknown>[]> {
  const rows = await db.prisma.ledgerEntry.findMany({
    where: { logId: systemLog },
    orderBy: { index: "asc" },
  });
  return rows.map(({ entry }) => JSON.parse(entry));
}

/** The private half of every signing key, as a JWK spells it: what must be readable nowhere. */
export async function privateScalars({ db, sealer }: Replica): Promise<readonly string[]> {
  const keys = await listSigningKeys(db, new Date(0));
  const opened = await Promise.all(keys.map((key) => unsealSigningKey(sealer, key)));
  return opened.map((key) => String(key.export({ format: "jwk" }).d));
}
