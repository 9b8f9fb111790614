import { randomBytes } from "node:crypto";
import { logOf, type OrganizationId, systemLog } from "@countersign/sdk/model/ids";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import { install } from "../journeys/installation/install.ts";
import { createKeys } from "../journeys/keys/create.ts";
import { type KeyRing, openKeyRing } from "../keys/key-ring.ts";
import { createPublisher, type Publisher } from "../ledger/publisher.ts";
import type { Installation } from "../store/installation.ts";
import { ensurePartitions } from "../store/ledger-partitions.ts";
import { findLog } from "../store/logs.ts";
import type { Closing } from "./closing.ts";
import { type OpenLogs, openLogs } from "./open-logs.ts";

/** The part of the house that records: everything else stands on it. */
export interface OpenLedger extends OpenLogs {
  readonly keys: KeyRing;
  readonly publisher: Publisher;
  readonly installation: Installation;
  readonly organization: OrganizationId;
}

export interface OpenLedgerDeps {
  readonly logger: Logger;
  readonly closing: Closing;
}

/**
 * Opens database, keys and ledger, and makes what the first start makes.
 *
 * @throws Error in one line that says what to do
 */
export async function openLedger({ logger, closing }: OpenLedgerDeps, config: Config): Promise<OpenLedger> {
  const now = Date.now;
  let publisher: Publisher | undefined;
  const logs = await openLogs(
    {
      logger,
      closing,
      onCommitted: (log, _size, urgent) => {
        if (urgent) publisher?.publishSoon(log);
      },
    },
    config,
  );
  const { db, memory, sequencer } = logs;
  const { append } = sequencer;
  const { installation, organization } = await install({ db, append, now, randomBytes }, config);
  await ensurePartitions(db);
  const keys = closing.closes(await openSigningKeys(logger, logs, organization));
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
  const { publishSoon } = publisher;
  const publishOwn = () => [systemLog, logOf(organization)].forEach(publishSoon);
  // What a first start records is remembered before anybody asks how the logs stand.
  publishOwn();
  // After a rotation the same tree is signed again, by the new key too.
  keys.onChange(publishOwn);
  return { ...logs, keys, publisher, installation, organization };
}

async function openSigningKeys(
  logger: Logger,
  { db, sealer, sequencer }: OpenLogs,
  organization: OrganizationId,
): Promise<KeyRing> {
  const now = Date.now;
  const logs = await Promise.all([systemLog, logOf(organization)].map((log) => existingLog(db, log)));
  const by = { kind: "system", id: "installation" } as const;
  const { append } = sequencer;
  await createKeys({ db, sealer, append, now, reloadKeys: async () => undefined }, { logs, by });
  const onReloadFailed = (err: unknown) => logger.error({ err }, "the signing keys could not be read again");
  return openKeyRing({ db, sealer, now, onReloadFailed });
}

async function existingLog(db: OpenLogs["db"], id: Parameters<typeof findLog>[1]) {
  const log = await findLog(db, id);
  if (log === undefined) throw new Error(`the log ${id} is missing from the database`);
  return log;
}
