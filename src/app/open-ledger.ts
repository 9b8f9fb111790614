import { randomBytes } from "node:crypto";
import { logOf, type OrganizationId, systemLog } from "@countersign/sdk/model/ids";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import { install } from "../journeys/installation/install.ts";
import { createKeys } from "../journeys/keys/create.ts";
import { type KeyRing, openKeyRing } from "../keys/key-ring.ts";
import { openKeyEncryptionKey } from "../keys/open-key-encryption-key.ts";
import { openSealer, type Sealer } from "../keys/sealer.ts";
import type { AppendEntry } from "../ledger/append.ts";
import { checkNotBehind } from "../ledger/check-log.ts";
import { type CheckpointMemory, openCheckpointMemory } from "../ledger/checkpoint-memory.ts";
import { createPublisher, type Publisher } from "../ledger/publisher.ts";
import { createSequencer, type Sequencer } from "../ledger/sequencer.ts";
import { type Database, openDatabase } from "../store/database.ts";
import { ensurePartitions } from "../store/ledger-partitions.ts";
import { findLog } from "../store/logs.ts";
import type { Closing } from "./closing.ts";

/** The part of the house that records: everything else stands on it. */
export interface OpenLedger {
  readonly db: Database;
  readonly memory: CheckpointMemory;
  readonly sealer: Sealer;
  readonly keys: KeyRing;
  readonly sequencer: Sequencer;
  readonly publisher: Publisher;
  readonly organization: OrganizationId;
}

export interface OpenLedgerDeps {
  readonly logger: Logger;
  readonly closing: Closing;
  /** False for whoever repairs a log that is behind its memory. */
  readonly checksMemory: boolean;
}

/**
 * Opens database, keys and ledger, and makes what the first start makes.
 *
 * @throws Error in one line that says what to do
 */
export async function openLedger(
  { logger, closing, checksMemory }: OpenLedgerDeps,
  config: Config,
): Promise<OpenLedger> {
  const now = Date.now;
  const storeLog = {
    info: (message: string) => logger.info(message),
    warn: (message: string) => logger.warn(message),
  };
  const db = closing.closes(await openDatabase({ log: storeLog }, config));
  const memory = await openCheckpointMemory(config.dataDir);
  const sealer = await openKeys(logger, db, config);

  let publisher: Publisher | undefined;
  const sequencer = closing.closes(
    createSequencer({
      db,
      now,
      randomBytes,
      originOf: async (log) => (await findLog(db, log))?.origin,
      checkNotBehind: async (log) => {
        if (checksMemory) await checkNotBehind({ db, memory }, log);
      },
      onCommitted: (log, _size, urgent) => {
        if (urgent) publisher?.publishSoon(log);
      },
    }),
  );
  const { append } = sequencer;
  const { organization } = await install({ db, append, now, randomBytes }, config);
  await ensurePartitions(db);
  const keys = closing.closes(await openSigningKeys({ logger, db, sealer, append }, organization));
  publisher = closing.closes(
    createPublisher({
      db,
      memory,
      append,
      now,
      logSigners: keys.logSigners,
      onFailed: (err, log) => logger.error({ err, log }, "a checkpoint could not be published"),
    }),
  );
  // After a rotation the same tree is signed again, by the new key too.
  const { publishSoon } = publisher;
  keys.onChange(() => [systemLog, logOf(organization)].forEach(publishSoon));
  return { db, memory, sealer, keys, sequencer, publisher, organization };
}

interface SigningKeysDeps {
  readonly logger: Logger;
  readonly db: Database;
  readonly sealer: Sealer;
  readonly append: AppendEntry;
}

async function openSigningKeys(
  { logger, ...deps }: SigningKeysDeps,
  organization: OrganizationId,
): Promise<KeyRing> {
  const { db, sealer } = deps;
  const now = Date.now;
  const logs = await Promise.all([systemLog, logOf(organization)].map((log) => existingLog(db, log)));
  const by = { kind: "system", id: "installation" } as const;
  await createKeys({ ...deps, now, reloadKeys: async () => undefined }, { logs, by });
  const onReloadFailed = (err: unknown) => logger.error({ err }, "the signing keys could not be read again");
  return openKeyRing({ db, sealer, now, onReloadFailed });
}

async function openKeys(logger: Logger, db: Database, config: Config): Promise<Sealer> {
  const { kek, inFile } = await openKeyEncryptionKey(
    { db, randomBytes },
    { secret: config.keyEncryptionSecret, dataDir: config.dataDir },
  );
  if (inFile) {
    logger.warn(
      "the key-encryption key lies in the data directory; set COUNTERSIGN_KEK to keep it elsewhere",
    );
  }
  return openSealer({ db, kek, now: Date.now, randomBytes });
}

async function existingLog(db: Database, id: Parameters<typeof findLog>[1]) {
  const log = await findLog(db, id);
  if (log === undefined) throw new Error(`the log ${id} is missing from the database`);
  return log;
}
