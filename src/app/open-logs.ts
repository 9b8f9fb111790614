import { randomBytes } from "node:crypto";
import type { LogId } from "@countersign/sdk/model/ids";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import { openKeyEncryptionKey } from "../keys/open-key-encryption-key.ts";
import { openSealer, type Sealer } from "../keys/sealer.ts";
import { checkNotBehind } from "../ledger/check-log.ts";
import { type CheckpointMemory, openCheckpointMemory } from "../ledger/checkpoint-memory.ts";
import { createSequencer, type Sequencer, type SequencerDeps } from "../ledger/sequencer.ts";
import { type Database, openDatabase } from "../store/database.ts";
import { findLog } from "../store/logs.ts";
import type { Closing } from "./closing.ts";

/** The logs as the database holds them, and what writes to them. Nothing is made in them by opening them. */
export interface OpenLogs {
  readonly db: Database;
  readonly memory: CheckpointMemory;
  readonly sealer: Sealer;
  readonly sequencer: Sequencer;
}

export interface OpenLogsDeps {
  readonly logger: Logger;
  readonly closing: Closing;
  /** The one log that may be written to while it is not what was signed, by whoever repairs it. */
  readonly repairs?: LogId;
  readonly onCommitted?: SequencerDeps["onCommitted"];
}

/**
 * Opens the database, the memory of checkpoints, the data keys and the sequencer.
 *
 * @throws Error in one line that says what to do
 */
export async function openLogs(deps: OpenLogsDeps, config: Config): Promise<OpenLogs> {
  const { logger, closing, repairs, onCommitted = () => undefined } = deps;
  const storeLog = {
    info: (message: string) => logger.info(message),
    warn: (message: string) => logger.warn(message),
  };
  const db = closing.closes(await openDatabase({ log: storeLog }, config));
  const memory = await openCheckpointMemory(config.dataDir);
  const sealer = await openDataKeys(logger, db, config);
  const sequencer = closing.closes(
    createSequencer({
      db,
      now: Date.now,
      randomBytes,
      originOf: async (log) => (await findLog(db, log))?.origin,
      checkNotBehind: async (log) => {
        if (log !== repairs) await checkNotBehind({ db, memory }, log);
      },
      onCommitted,
    }),
  );
  return { db, memory, sealer, sequencer };
}

async function openDataKeys(logger: Logger, db: Database, config: Config): Promise<Sealer> {
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
