import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Logger } from "pino";
import { type Config, ConfigError } from "../config.ts";
import { isLoopback } from "../domain/loopback.ts";
import type { Metrics } from "../http/metrics.ts";
import { fetchJwtSvids, fetchX509Svids } from "../journeys/svid/fetch.ts";
import { isConnectionFailure } from "../store/database-error.ts";
import { attestsOthers } from "../svid/attest/workload/attest-others.ts";
import { SocketTakenError } from "../workload-api/listen.ts";
import type { WorkloadApi } from "../workload-api/workload-api.ts";
import type { Background } from "./background.ts";
import type { Closing } from "./closing.ts";
import type { OpenJourneys } from "./open-journeys.ts";
import type { OpenLedger } from "./open-ledger.ts";
import { type OpenSvidSource, openSvidSource } from "./open-svid-source.ts";
import { openWorkloadApi } from "./open-workload-api.ts";
import type { FederatedBundles } from "./watch-federation.ts";

export interface OpenSvidsDeps {
  readonly metrics: Pick<Metrics, "timed" | "watchWorkloads">;
  readonly logger: Logger;
  readonly closing: Closing;
  readonly ledger: OpenLedger;
  readonly journeys: OpenJourneys;
  readonly every: Background["every"];
  readonly federated: FederatedBundles;
}

/** How the Workload API of this server is. */
export interface ServedWorkloads {
  /** Why it is not served, in a few words without paths; undefined when it is. */
  readonly notServed: () => string | undefined;
  readonly overdrawn: OpenSvidSource["overdrawn"];
}

/**
 * Serves the Workload API to the processes of this machine. Where it can't be served, on another system than Linux or while
 * another server serves it, that is said, and everything else goes on.
 *
 * @throws ConfigError where the server's own account is to be attested on a server that is for others too
 */
export async function openSvids(deps: OpenSvidsDeps, config: Config): Promise<ServedWorkloads> {
  const { logger, closing, ledger, journeys, metrics, federated } = deps;
  const { dataDir, attestOwnUid, measure, kubelet } = config;
  const { keys, sequencer, authorities, installation } = ledger;
  if (attestOwnUid && !isLoopback(new URL(installation.issuer).hostname))
    throw new ConfigError(onlyForTrying);
  const onFailed = (attestor: string, err: unknown) =>
    logger.warn({ err, attestor }, "a workload was not attested");
  const source = await openSvidSource({
    ledger,
    logger,
    closing,
    federated,
    append: sequencer.append,
    recordRefusal: journeys.refusals.record,
    invalidate: journeys.reads.invalidate,
    findClient: journeys.reads.client,
    now: Date.now,
    randomBytes,
    trustBundle: keys.trustBundle,
    verifySignature: authorities.verifySignature,
    attest: attestsOthers({ now: Date.now, onFailed }, { attestOwnUid, measure, kubelet, advice }),
    fetchX509Svids: metrics.timed("svid.fetch-x509", fetchX509Svids),
    fetchJwtSvids: metrics.timed("svid.fetch-jwt", fetchJwtSvids),
  });
  const place = { socketPath: join(dataDir, "workload.sock"), dataDir };
  const open = () =>
    openWorkloadApi(
      { source, logger, isOutage: isConnectionFailure, onRefused: journeys.countFailure, kubelet },
      place,
    );
  const socket = await servePatiently(deps, open);
  metrics.watchWorkloads(() => ({ held: source.held(), streams: socket.openStreams() }));
  return { notServed: () => socket.notServed, overdrawn: source.overdrawn };
}

const onlyForTrying =
  "--attest-own-uid is for trying it out: the issuer must be at a loopback address, where nobody else relies on it";
const advice =
  "the server's own account gets no SVID: run the workload under another, or the server with --attest-own-uid";
const retryEveryMs = 5_000;
const takesOver =
  "the Workload API is not served: another server serves its socket, and this one will once that one has ended";

/** A socket that is served, or will be. */
interface Socket {
  notServed: string | undefined;
  openStreams: () => number;
}

/** Where another server serves at the socket, as in a rolling restart, this one takes over once that one has ended. */
async function servePatiently(
  { logger, closing, every }: OpenSvidsDeps,
  open: () => Promise<WorkloadApi>,
): Promise<Socket> {
  const socket: Socket = { notServed: "another server serves its socket", openStreams: () => 0 };
  const serve = async () => {
    if (socket.notServed === undefined) return;
    const api = await open();
    closing.add(api.close);
    socket.openStreams = api.openStreams;
    socket.notServed = undefined;
  };
  try {
    await serve();
  } catch (err) {
    if (err instanceof SocketTakenError) {
      logger.warn(takesOver);
      every(retryEveryMs, "Workload API", () =>
        serve().catch((error: unknown) => {
          if (!(error instanceof SocketTakenError)) throw error;
        }),
      );
    } else {
      logger.warn({ err }, "the Workload API is not served");
      socket.notServed = process.platform === "linux" ? "see the server's log" : "it needs Linux";
    }
  }
  return socket;
}
