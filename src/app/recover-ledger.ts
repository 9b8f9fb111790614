import type { LogId } from "@countersign/sdk/model/ids";
import type { Config } from "../config.ts";
import { createLogger } from "../http/logger.ts";
import { openKeyRing } from "../keys/key-ring.ts";
import { publishLog } from "../ledger/publish.ts";
import { type Recovery, recoverLog } from "../ledger/recover.ts";
import { findInstallation } from "../store/installation.ts";
import { createClosing } from "./closing.ts";
import { openLogs } from "./open-logs.ts";

/**
 * Lets one log go on from the database's present state. Runs on the database itself, not through a server, and writes
 * to no other log: one that is behind as well stays as it is until it is recovered itself.
 *
 * @throws DomainError as recoverLog does
 */
export async function recoverLedger(
  config: Config,
  request: { readonly log: LogId; readonly accept?: string },
): Promise<Recovery> {
  const logger = createLogger(config.logLevel);
  const closing = createClosing();
  const now = Date.now;
  try {
    const { db, memory, sealer, sequencer } = await openLogs(
      { logger, closing, repairs: request.log },
      config,
    );
    const onReloadFailed = (err: unknown) =>
      logger.error({ err }, "the signing keys could not be read again");
    const trustDomain = (await findInstallation(db))?.trustDomain ?? config.trustDomain;
    const ring = await openKeyRing({ db, sealer, trustDomain, now, onReloadFailed });
    const { logSigners } = closing.closes(ring);
    const publishNow = (log: LogId) => publishLog({ db, memory, logSigners }, new Map(), log);
    return await recoverLog(
      { db, memory, append: sequencer.append, publishNow, now },
      { ...request, actor: { kind: "operator", id: "local" } },
    );
  } finally {
    await closing.closeAll();
  }
}
