import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { RequestListener } from "node:http";
import type { LogId } from "@countersign/sdk/model/ids";
import type { Logger } from "pino";
import { createBackground } from "./app/background.ts";
import { type Closing, createClosing } from "./app/closing.ts";
import { type OpenJourneys, openJourneys } from "./app/open-journeys.ts";
import { type OpenLedger, openLedger } from "./app/open-ledger.ts";
import { openPolicy } from "./app/open-policy.ts";
import { ownTokenKeys, verifyOwnToken } from "./app/own-tokens.ts";
import { adminRecords, readsRegisteredClients, servedLogs } from "./app/read-for-faces.ts";
import { watchHealth } from "./app/watch-health.ts";
import type { Config } from "./config.ts";
import { createHttpFace, type HttpFaceDeps } from "./http/http-face.ts";
import { type HttpServer, startHttpServer } from "./http/http-server.ts";
import { createLogger } from "./http/logger.ts";
import { createMetrics, type Metrics } from "./http/metrics.ts";
import { createIssuerFace, type IssuerFace } from "./issuer/face.ts";
import { createFailureTally, type FailureTally } from "./journeys/authentication/tally-failures.ts";
import { rotateIfDue } from "./journeys/keys/rotate.ts";
import { type Recovery, recoverLog } from "./ledger/recover.ts";
import { changesChannel } from "./store/batch-statement.ts";
import { isConnectionFailure } from "./store/database-error.ts";
import { createReplayMemory, replayKey } from "./store/replay.ts";
import { forgetExpiredRevocations } from "./store/revoked-tokens.ts";

/** A server that answers requests. */
export interface App {
  readonly issuer: string;
  /** Stops accepting, finishes what is under way, and closes everything in reverse order. */
  readonly close: () => Promise<void>;
}

const drainMs = 10_000;

/**
 * Puts the house together: settings → ledger → journeys → faces → background work.
 *
 * @throws Error in one line that says what to do, with everything closed again
 */
export async function startApp(config: Config): Promise<App> {
  const logger = createLogger(config.logLevel);
  const closing = createClosing();
  try {
    await start(config, logger, closing);
    return { issuer: config.issuer, close: closing.closeAll };
  } catch (error) {
    await closing
      .closeAll()
      .catch((err: unknown) => logger.error({ err }, "closing after a failed start failed"));
    throw error;
  }
}

async function start(config: Config, logger: Logger, closing: Closing): Promise<void> {
  const { issuer, trustDomain } = config;
  const ledger = await openLedger({ logger, closing, checksMemory: true }, config);
  const metrics = createMetrics();
  const decide = await openPolicy(ledger, issuer);
  const keys = ownTokenKeys(ledger.keys);
  const verifyAccessToken = (token: string) => verifyOwnToken(keys, issuer, token);
  const journeys = openJourneys({
    ledger,
    issuer,
    trustDomain,
    decide,
    verifyAccessToken,
    timed: metrics.timed,
  });
  const failures = createFailureTally(ledger.sequencer);
  // Entries that only wait for their interval are committed before the sequencer closes.
  closing.add(() => journeys.refusals.flush("all"));
  closing.add(failures.flush);

  const replays = createReplayMemory({ db: ledger.db, now: Date.now });
  const oauth = openIssuer({ config, logger, ledger, journeys, failures, replays });
  await followChanges(ledger, journeys, closing);
  startBackground({ logger, closing, ledger, journeys, failures, replays });

  const face = createHttpFace({
    issuer,
    trustDomain,
    keys,
    now: Date.now,
    randomBytes,
    logger,
    metrics,
    replays: {
      consume: (key, expiresAtMs) =>
        replays.rememberOnce(replayKey("v1", "dpop_proof", key), new Date(expiresAtMs)),
    },
    isLive: journeys.isLive,
    isOutage: isConnectionFailure,
    journeys,
    records: adminRecords(ledger.db),
    logs: servedLogs(ledger),
    oauth: { handles: oauth.owns, listener: oauth.handle },
    ...health(config, ledger, metrics),
  });
  const server = await listen(config, face);
  closing.add(() => server.drain(drainMs));
}

async function listen(
  { host, port, trustedProxies, tls }: Config,
  face: RequestListener,
): Promise<HttpServer> {
  return startHttpServer(face, { host, port, trustedProxies, ...(tls && { tls: await readTls(tls) }) });
}

/** Lets a log go on from the database's present state. Runs on the database itself, not through a server. */
export async function recoverLedger(
  config: Config,
  request: { readonly log: LogId; readonly accept?: string },
): Promise<Recovery> {
  const logger = createLogger(config.logLevel);
  const closing = createClosing();
  try {
    const { db, memory, sequencer, publisher } = await openLedger(
      { logger, closing, checksMemory: false },
      config,
    );
    return await recoverLog(
      { db, memory, append: sequencer.append, publishNow: publisher.publishNow, now: Date.now },
      { ...request, actor: { kind: "operator", id: "local" } },
    );
  } finally {
    await closing.closeAll();
  }
}

interface IssuerParts {
  readonly config: Config;
  readonly logger: Logger;
  readonly ledger: OpenLedger;
  readonly journeys: OpenJourneys;
  readonly failures: FailureTally;
  readonly replays: ReturnType<typeof createReplayMemory>;
}

function openIssuer({ config, logger, ledger, journeys, failures, replays }: IssuerParts): IssuerFace {
  const { issuer, trustDomain } = config;
  const face = createIssuerFace({
    issuer,
    trustDomain,
    now: Date.now,
    randomBytes,
    tokenKeys: ledger.keys.tokenKeys,
    findClient: readsRegisteredClients(trustDomain, journeys.reads.client),
    rememberOnce: replays.rememberOnce,
    issueToken: journeys.issueToken,
    exchangeToken: journeys.exchangeToken,
    introspectToken: journeys.introspectToken,
    revokeToken: journeys.revokeToken,
    isUnavailable: isConnectionFailure,
    onAuthenticationFailure: (failure) => {
      logger.info(failure, "authentication failed");
      failures.note(failure);
    },
    onUnexpectedError: (err, at) => logger.error({ err, ...at }, "request failed"),
  });
  ledger.keys.onChange(() => face.rotate(ledger.keys.tokenKeys()));
  return face;
}

/** Drops from this process's caches what any process changed. */
async function followChanges({ db }: OpenLedger, { reads }: OpenJourneys, closing: Closing): Promise<void> {
  const stop = await db.listen(changesChannel, {
    onMessage: (payload) => {
      if (payload === "*") return reads.invalidateAll();
      const changed: { readonly id: string }[] = JSON.parse(payload);
      for (const { id } of changed) reads.invalidate(id);
    },
    onGap: reads.invalidateAll,
  });
  closing.add(stop);
}

interface BackgroundParts extends Omit<IssuerParts, "config"> {
  readonly closing: Closing;
}

function startBackground({ logger, closing, ledger, journeys, failures, replays }: BackgroundParts): void {
  const { db, sealer, keys, sequencer } = ledger;
  const { every } = closing.closes(createBackground(logger));
  const rotation = { db, sealer, now: Date.now, append: sequencer.append, reloadKeys: keys.reload };
  every(5_000, "counted refusals", () => journeys.refusals.flush("due"));
  every(10_000, "counted failures", failures.flush);
  every(60_000, "one-time values", replays.purge);
  every(60_000, "expired revocations", () => forgetExpiredRevocations(db, new Date()));
  every(3_600_000, "key rotation", () => rotateIfDue(rotation));
  every(3_600_000, "data key rotation", sealer.rotateIfDue);
}

function health(
  config: Config,
  ledger: OpenLedger,
  metrics: Metrics,
): Pick<HttpFaceDeps, "checks" | "status"> {
  const keyInFile = {
    name: "key-encryption key",
    detail: "it lies in the data directory; set COUNTERSIGN_KEK to keep it elsewhere",
  };
  const { checks, gauges, status } = watchHealth(ledger, {
    issuer: config.issuer,
    warnings: config.keyEncryptionSecret === undefined ? [keyInFile] : [],
  });
  metrics.watchLedger(gauges);
  return { checks, status };
}

async function readTls({ certFile, keyFile }: NonNullable<Config["tls"]>) {
  const [cert, key] = await Promise.all([readFile(certFile, "utf8"), readFile(keyFile, "utf8")]);
  return { cert, key };
}
