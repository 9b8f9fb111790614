import { randomBytes } from "node:crypto";
import { isIPv6 } from "node:net";
import type { Logger } from "pino";
import { createBackground } from "./app/background.ts";
import { type Closing, createClosing } from "./app/closing.ts";
import { listen, mutualTlsOf, tellsOriginAsked } from "./app/listen.ts";
import { logIssuer } from "./app/log-issuer.ts";
import { openFollowers } from "./app/open-followers.ts";
import { type OpenJourneys, openJourneys } from "./app/open-journeys.ts";
import { type OpenLedger, openLedger } from "./app/open-ledger.ts";
import { openNodes } from "./app/open-nodes.ts";
import { type OpenPolicy, openPolicy } from "./app/open-policy.ts";
import { openRepeats } from "./app/open-repeats.ts";
import { openSvids, type ServedWorkloads } from "./app/open-svids.ts";
import { type OwnTokens, openOwnTokens, verifyOwnToken } from "./app/own-tokens.ts";
import { readsForFaces } from "./app/read-for-faces.ts";
import { serveBundle } from "./app/serve-bundle.ts";
import { openServerSvidOnce } from "./app/server-svid.ts";
import { startBackground } from "./app/start-background.ts";
import { type FederatedBundles, watchFederation } from "./app/watch-federation.ts";
import { type Health, watchHealth } from "./app/watch-health.ts";
import { type Config, productVersion } from "./config.ts";
import { isLoopback } from "./domain/loopback.ts";
import type { CallerDeps } from "./http/caller.ts";
import {
  createPresentedCertificates,
  type PresentedCertificates,
  tellsCertificatePath,
} from "./http/client-certificate.ts";
import { createHttpFace } from "./http/http-face.ts";
import { createLogger } from "./http/logger.ts";
import { createMetrics, type Metrics } from "./http/metrics.ts";
import type { NodeFaceDeps } from "./http/node-deps.ts";
import { createStreams } from "./http/streams.ts";
import { createIssuerFace, type IssuerFace } from "./issuer/face.ts";
import type { IssuerDeps } from "./issuer/issuer-deps.ts";
import { dpopNoncesOf } from "./issuer/provider-seam.ts";
import { readsRegisteredClients } from "./issuer/registered-clients.ts";
import { pinAssertion } from "./store/assertion-pins.ts";
import { isConnectionFailure } from "./store/database-error.ts";
import { followChanges } from "./store/follow-changes.ts";
import { keepPushedRequest, usePushedRequest } from "./store/pushed-requests.ts";
import { createReplayMemory, replayKey } from "./store/replay.ts";

/** A server that answers requests. */
export interface App {
  readonly issuer: string;
  /** Origin of the address where it listens: another than the issuer behind a proxy, for one. */
  readonly listensAt: string;
  /** Why nothing is issued for now, in one line; undefined for a server that is ready. */
  readonly notReady: string | undefined;
  /** Why the Workload API is not served, in a few words; undefined when it is. */
  readonly workloadsNotServed: string | undefined;
  /** Stops accepting, finishes what is under way, and closes everything in reverse order. */
  readonly close: () => Promise<void>;
}

/**
 * Puts the house together: settings → ledger → journeys → faces → background work.
 *
 * @throws Error in one line that says what to do, with everything closed again
 */
export async function startApp(config: Config): Promise<App> {
  const logger = createLogger(config.logLevel);
  const closing = createClosing();
  try {
    warnOfDeafness(config, logger);
    return { ...(await start(config, logger, closing)), close: closing.closeAll };
  } catch (error) {
    await closing
      .closeAll()
      .catch((err: unknown) => logger.error({ err }, "closing after a failed start failed"));
    throw error;
  }
}

async function start(config: Config, logger: Logger, closing: Closing): Promise<Omit<App, "close">> {
  const ledger = await openLedger({ logger, closing }, config);
  const { issuer, trustDomain } = ledger.installation;
  const metrics = createMetrics();
  const policies = closing.closes(await openPolicies(ledger, logger, issuer));
  const ownTokens = openOwnTokens(ledger.keys);
  const verifyAccessToken = (token: string) => verifyOwnToken(ownTokens, issuer, token);
  const given = { issuer, trustDomain, policies, verifyAccessToken, timed: metrics.timed };
  const journeys = openJourneys({ ledger, ...given, allowsLoopback: config.allowsLoopbackIssuers });
  // Entries that only wait for their interval are committed before the sequencer closes.
  closing.add(() => flushRefusals(journeys, logger));

  const replays = createReplayMemory({ db: ledger.db, now: Date.now });
  const certificates = createPresentedCertificates();
  const parts = { logger, ledger, journeys, replays, proofs: proofsOfClients(config, ledger, certificates) };
  const oauth = openIssuer(parts);
  closing.add(await dropsWhatChanged(ledger, journeys));
  const background = closing.closes(createBackground(logger));
  startBackground(background, { ...parts, reserveForMs: config.reserveForMs });

  let workloads: ServedWorkloads | undefined;
  const { brokenLogs, ...probes } = health(config, ledger, metrics, logger, () => workloads);
  const federated = closing.closes(await foreignBundles(ledger, logger));
  const followed = { feed: await openFollowers(ledger.db, logger, closing), ...newStreams() };
  const face = createHttpFace({
    ...apiProofs(parts),
    ...ownTokens,
    version: productVersion(),
    randomBytes,
    logger,
    metrics,
    onAuthenticationFailure: journeys.countFailure,
    isOutage: isConnectionFailure,
    journeys,
    repeats: openRepeats(ledger),
    ...readsForFaces(ledger),
    nodes: await openNodes({ closing, federated, ...parts }, config),
    oauth: { handles: oauth.owns, listener: oauth.handle },
    ...followed,
    ...probes,
  });
  const running = { logger, closing, every: background.every };
  const serverSvid = openServerSvidOnce({ ...running, now: Date.now, ledger });
  const port = await listen({ ...running, certificates, serverSvid }, config, issuer, face);
  closing.closes(followed.streams);
  closing.closes(followed.nodeStreams);
  await serveBundle({ ...running, ledger, serverSvid }, config);
  workloads = await openSvids({ ...running, ledger, journeys, metrics, federated }, config);
  return { issuer, listensAt: originOf(config, port), notReady: await brokenLogs(), ...stateOf(workloads) };
}

function stateOf({ notServed }: ServedWorkloads): Pick<App, "workloadsNotServed"> {
  return { workloadsNotServed: notServed() };
}

function openPolicies(ledger: OpenLedger, logger: Logger, issuer: string): Promise<OpenPolicy> {
  const onReloadFailed = (err: unknown) => logger.error({ err }, "the policies could not be read again");
  return openPolicy({ ...ledger, onReloadFailed }, issuer);
}

/** Of the trust domains that entries of the server's own machine, or of nodes, federate with. */
function foreignBundles({ db }: OpenLedger, logger: Logger): Promise<FederatedBundles> {
  const onReloadFailed = (err: unknown) =>
    logger.error({ err }, "the foreign bundles could not be read again");
  return watchFederation({ db, now: Date.now, onReloadFailed });
}

/** Those that clients follow, and those of nodes: neither takes the other's places. */
function newStreams() {
  return { streams: createStreams(), nodeStreams: createStreams({ perCallerMax: 4, max: 10_000 }) };
}

async function flushRefusals({ refusals }: OpenJourneys, logger: Logger): Promise<void> {
  await refusals
    .flush("all")
    .catch((err: unknown) => logger.error({ err }, "counted refusals were not recorded"));
}

/** Warns when the server listens for others, but would serve none of them. */
function warnOfDeafness({ host, tls, trustedProxies }: Config, logger: Logger): void {
  if (isLoopback(host) || tls !== undefined || trustedProxies.length > 0) return;
  logger.warn(
    "plain http is accepted from loopback only; set COUNTERSIGN_TLS_CERT and COUNTERSIGN_TLS_KEY, or COUNTERSIGN_TRUSTED_PROXIES",
  );
}

function originOf({ host, tls }: Config, port: number): string {
  return new URL(`${tls ? "https" : "http"}://${isIPv6(host) ? `[${host}]` : host}:${port}`).origin;
}

interface IssuerParts {
  readonly logger: Logger;
  readonly ledger: OpenLedger;
  readonly journeys: OpenJourneys;
  readonly replays: ReturnType<typeof createReplayMemory>;
  readonly proofs: Proofs;
}

/** How clients prove, at whichever door, that they hold a key. */
type Proofs = Pick<IssuerDeps, "certificateOf" | "dpopNonceSecret" | "mutualTls" | "originAsked"> &
  CertificatePaths;
type CertificatePaths = Pick<NodeFaceDeps, "certificatePathOf">;

function proofsOfClients(
  config: Config,
  { installation: { issuer }, sealer }: OpenLedger,
  certificates: PresentedCertificates,
): Proofs {
  return {
    certificateOf: certificates.of,
    certificatePathOf: tellsCertificatePath(
      { proxies: config.trustedProxies, allowsLocal: config.believesLocalClientCert },
      config.mtlsPort,
    ),
    dpopNonceSecret: sealer.derive("nonces of DPoP proofs"),
    mutualTls: mutualTlsOf(config, issuer),
    originAsked: tellsOriginAsked(config, issuer),
  };
}

/** What the API needs to know its callers. */
function apiProofs({
  ledger,
  journeys,
  replays,
  proofs,
}: IssuerParts): Omit<CallerDeps, keyof OwnTokens> & CertificatePaths {
  const { issuer, trustDomain } = ledger.installation;
  return {
    issuer,
    trustDomain,
    runBy: ledger.organization,
    certificateOf: proofs.certificateOf,
    certificatePathOf: proofs.certificatePathOf,
    originAsked: proofs.originAsked,
    nonces: dpopNoncesOf(proofs.dpopNonceSecret),
    replays: {
      consume: (key, expiresAtMs) =>
        replays.rememberOnce(replayKey("v1", "dpop_proof", key), new Date(expiresAtMs)),
    },
    findClient: journeys.reads.client,
    isLive: journeys.isLive,
  };
}

function openIssuer({ logger, ledger, journeys, replays, proofs }: IssuerParts): IssuerFace {
  const { db } = ledger;
  const { issuer, trustDomain } = ledger.installation;
  const log = logIssuer(logger);
  const face = createIssuerFace({
    ...log,
    ...proofs,
    issuer,
    trustDomain,
    now: Date.now,
    tokenKeys: ledger.keys.tokenKeys,
    findClient: readsRegisteredClients(trustDomain, journeys.reads.client),
    svidBundle: ledger.keys.svidBundle,
    pinAssertion: (pin) => pinAssertion(db, pin),
    keepPushedRequest: (request) => keepPushedRequest(db, request),
    usePushedRequest: (used) => usePushedRequest(db, { ...used, now: new Date() }),
    rememberOnce: ({ client, kind, value }, expiresAt) =>
      replays.rememberOnce(replayKey(client, kind, value), expiresAt),
    useUp: async ({ client, kind, value }, expiresAt) => ({
      writes: [await replays.useUp(replayKey(client, kind, value), expiresAt)],
      conditions: [],
    }),
    assertIdentity: journeys.assertIdentity,
    assertPerson: journeys.assertPerson,
    demandProven: journeys.demandProven,
    issueToken: journeys.issueToken,
    exchangeToken: journeys.exchangeToken,
    introspectToken: journeys.introspectToken,
    revokeToken: journeys.revokeToken,
    isUnavailable: isConnectionFailure,
    onAuthenticationFailure: (failure) => {
      log.onAuthenticationFailure(failure);
      journeys.countFailure(failure);
    },
  });
  ledger.keys.onChange(() => face.rotate(ledger.keys.tokenKeys()));
  return face;
}

/**
 * Drops from this process's caches what any process changed. When news may have been lost, the database may have been
 * away, and is believed again only once it is held against what was signed.
 */
function dropsWhatChanged(
  { db, sequencer }: OpenLedger,
  { reads }: OpenJourneys,
): Promise<() => Promise<void>> {
  return followChanges(db, {
    changed: (changes) => {
      for (const { id } of changes) reads.invalidate(id);
    },
    lost: (why) => {
      reads.invalidateAll();
      if (why === "gap") sequencer.doubt();
    },
  });
}

function health(
  config: Config,
  ledger: OpenLedger,
  metrics: Metrics,
  logger: Logger,
  workloads: () => ServedWorkloads | undefined,
): Pick<Health, "checks" | "status" | "brokenLogs"> {
  const keyInFile = {
    name: "key-encryption key",
    detail: "it lies in the data directory; set COUNTERSIGN_KEK to keep it elsewhere",
  };
  const { gauges, ...probes } = watchHealth(ledger, {
    issuer: ledger.installation.issuer,
    warnings: config.keyEncryptionSecret === undefined ? [keyInFile] : [],
    workloads,
    onBroken: (logs) => logger.error(`nothing is issued in some logs: ${logs}`),
  });
  metrics.watchLedger(gauges);
  return probes;
}
