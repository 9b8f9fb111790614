import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { logOf, type OrganizationId, systemLog } from "@countersign/sdk/model/ids";
import type { Logger } from "pino";
import { type Config, ConfigError } from "../config.ts";
import { InstalledOtherwiseError, install } from "../journeys/installation/install.ts";
import { type AuthorityDeps, keepAuthorities } from "../journeys/keys/authorities.ts";
import { createKeys } from "../journeys/keys/create.ts";
import { type KeyRing, openKeyRing } from "../keys/key-ring.ts";
import { createPublisher, type Publisher } from "../ledger/publisher.ts";
import type { Installation } from "../store/installation.ts";
import { ensurePartitions } from "../store/ledger-partitions.ts";
import { findLog } from "../store/logs.ts";
import { readOwnFile } from "../store/secret-file.ts";
import { readUpstreamAuthority, type UpstreamAuthority } from "../svid/upstream-authority.ts";
import { createSignatureVerifier } from "../svid/verify-signature.ts";
import type { Closing } from "./closing.ts";
import { type OpenLogs, openLogs } from "./open-logs.ts";

/** The part of the house that records: everything else stands on it. */
export interface OpenLedger extends OpenLogs {
  readonly keys: KeyRing;
  /** What it takes to change the keys, those of the trust domain's authorities among them. */
  readonly authorities: AuthorityDeps;
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
  const { installation, organization } = await install({ db, append, now, randomBytes }, config).catch(
    (error: unknown) => {
      throw error instanceof InstalledOtherwiseError ? new ConfigError(error.message) : error;
    },
  );
  await ensurePartitions(db);
  const { keys, authorities } = await openSigningKeys(logger, logs, config, { installation, organization });
  closing.closes(keys);
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
  return { ...logs, keys, authorities, publisher, installation, organization };
}

async function openSigningKeys(
  logger: Logger,
  { db, sealer, sequencer: { append } }: OpenLogs,
  { upstream }: Config,
  { installation: { trustDomain }, organization }: Pick<OpenLedger, "installation" | "organization">,
): Promise<{ readonly keys: KeyRing; readonly authorities: AuthorityDeps }> {
  const now = Date.now;
  const logs = await Promise.all([systemLog, logOf(organization)].map((log) => existingLog(db, log)));
  const by = { kind: "system", id: "installation" } as const;
  const making = {
    db,
    sealer,
    append,
    now,
    trustDomain,
    randomBytes,
    upstream: upstream && (await openUpstream(upstream, now())),
    verifySignature: createSignatureVerifier(),
    reloadKeys: async () => undefined,
  };
  await createKeys(making, { logs, by });
  await keepAuthorities(making, by);
  const onReloadFailed = (err: unknown) => logger.error({ err }, "the signing keys could not be read again");
  const keys = await openKeyRing({ db, sealer, trustDomain, now, onReloadFailed });
  return { keys, authorities: { ...making, reloadKeys: keys.reload } };
}

/** @throws Error in one line that names the settings */
async function openUpstream(
  { certFile, keyFile }: NonNullable<Config["upstream"]>,
  nowMs: number,
): Promise<UpstreamAuthority> {
  try {
    const certificates = await readFile(certFile, "utf8");
    const privateKey = await readOwnFile(keyFile);
    if (privateKey === undefined) throw new Error(`${keyFile} is not there`);
    return readUpstreamAuthority({ certificates, privateKey }, nowMs);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`COUNTERSIGN_UPSTREAM_CERT and COUNTERSIGN_UPSTREAM_KEY can't be used: ${why}`, {
      cause: error,
    });
  }
}

async function existingLog(db: OpenLogs["db"], id: Parameters<typeof findLog>[1]) {
  const log = await findLog(db, id);
  if (log === undefined) throw new Error(`the log ${id} is missing from the database`);
  return log;
}
