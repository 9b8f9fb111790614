import { Server, ServerCredentials } from "@grpc/grpc-js";
import { createAcceptQueue } from "./accept-queue.ts";
import type { AnswerDeps } from "./answer.ts";
import { createConnections } from "./connections.ts";
import { SecretDiscoveryServiceService } from "./generated/envoy/secret.ts";
import { SpiffeWorkloadAPIService } from "./generated/workload.ts";
import type { Kernel } from "./kernel.ts";
import { listenAt } from "./listen.ts";
import type { ContainerOf } from "./peer.ts";
import { createPlaces, type PlaceLimits } from "./places.ts";
import { createSecretService } from "./secret-service.ts";
import { createSpiffeService } from "./spiffe-service.ts";

export interface WorkloadApiDeps extends Pick<AnswerDeps, "source" | "logger" | "now" | "isOutage"> {
  readonly kernel: Kernel;
  /** Told of whatever is refused, if anybody wants to know. */
  readonly onRefused?: AnswerDeps["onRefused"];
  /** Where containers are told apart: those of one user have places of their own. */
  readonly containerOf?: ContainerOf;
}

export interface WorkloadApiLimits {
  readonly connections: PlaceLimits;
  /** Streams of answers, and those alone: a call that is answered once has its place on its connection. */
  readonly streams: PlaceLimits;
  readonly streamsPerConnectionMax: number;
  /** How long a stream that asks for what it wants may be open before it asks for anything. */
  readonly silentMs: number;
  /** How long a connection may be open before it has begun to speak HTTP/2. */
  readonly muteMs: number;
}

/** A socket that is served. */
export interface WorkloadApi {
  /** Streams that are fed now. */
  readonly openStreams: () => number;
  /** Tells every stream that the server stops, answers what is under way, cuts what is left, and removes the socket. */
  readonly close: () => Promise<void>;
}

const defaultLimits: WorkloadApiLimits = {
  connections: { max: 4_096, perPartyMax: 128 },
  streams: { max: 16_384, perPartyMax: 2_048 },
  streamsPerConnectionMax: 128,
  silentMs: 10_000,
  muteMs: 5_000,
};
/** One is the connection, one the handle on who made it, and as many again are left to all else of this process. */
const descriptorsPerConnection = 4;
const drainMs = 2_000;

const options = {
  "grpc.max_receive_message_length": 64 * 1024,
  // MiB. A caller that does not read takes no more than this.
  "grpc-node.max_session_memory": 1,
  // Without it the sessions of callers that vanished stay.
  "grpc.keepalive_time_ms": 60_000,
  "grpc.keepalive_timeout_ms": 20_000,
  "grpc.max_connection_idle_ms": 600_000,
  "grpc.enable_channelz": 0,
};

/**
 * Serves the SPIFFE Workload API, and Envoy's secret discovery beside it, at a Unix socket.
 *
 * @throws what `listenAt` throws
 */
export async function startWorkloadApi(
  { kernel, onRefused = () => undefined, containerOf = () => undefined, ...given }: WorkloadApiDeps,
  path: string,
  changedLimits: Partial<WorkloadApiLimits> = {},
): Promise<WorkloadApi> {
  const limits = { ...defaultLimits, ...changedLimits };
  const server = new Server({ ...options, "grpc.max_concurrent_streams": limits.streamsPerConnectionMax });
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const queue = createAcceptQueue(kernel);
  const connections = createConnections({
    kernel,
    queue,
    onRefused,
    containerOf,
    logger: given.logger,
    muteMs: limits.muteMs,
    places: createPlaces(connectionLimits(kernel, given.logger, limits)),
    inject: (socket) => injector.injectConnection(socket),
  });
  const streamPlaces = createPlaces(limits.streams);
  const deps: AnswerDeps = { ...given, ...limits, onRefused, streamPlaces, connectionOf: connections.find };
  server.addService(SpiffeWorkloadAPIService, createSpiffeService(deps));
  server.addService(SecretDiscoveryServiceService, createSecretService(deps));
  const listener = await listenAt(kernel, path, connections.admit);
  queue.watch(listener);

  async function close(): Promise<void> {
    listener.close();
    queue.close();
    for (const { streams } of connections.all()) for (const stream of streams) stream.end();
    // Its own callback comes at once, whatever is under way: the connections tell when that is done.
    server.tryShutdown(() => undefined);
    await connections.close(drainMs);
    server.forceShutdown();
  }

  const openStreams = () => [...connections.all()].reduce((sum, { streams }) => sum + streams.size, 0);
  return { openStreams, close };
}

/** As many as are wanted, or as many as the descriptors of this process do for. */
function connectionLimits(
  kernel: Kernel,
  logger: AnswerDeps["logger"],
  { connections }: WorkloadApiLimits,
): PlaceLimits {
  const max = Math.min(connections.max, Math.floor(kernel.descriptorsMax() / descriptorsPerConnection));
  if (max < connections.max)
    logger.warn(
      { max, wanted: connections.max },
      "the open files limit leaves the Workload API fewer connections",
    );
  return { ...connections, max };
}
