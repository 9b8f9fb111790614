import { join as joinPath, resolve } from "node:path";
import { setTimeout as later } from "node:timers/promises";
import type { NodeEvidence } from "@countersign/sdk/contract/node-face";
import { DomainError } from "../domain/domain-error.ts";
import type { KubeletPlace } from "../domain/kubelet.ts";
import { createLogger } from "../http/logger.ts";
import { join } from "../node/join.ts";
import type { NodeEvent } from "../node/node-event.ts";
import { keepIdentity, type NodeIdentity, readIdentity } from "../node/node-identity.ts";
import type { NodeTime } from "../node/node-loops.ts";
import { type NodeSource, openNodeSource } from "../node/node-source.ts";
import { isStillKnown } from "../node/own-svid.ts";
import {
  createServerConnection,
  type ServerConnection,
  type ServerTrust,
} from "../node/server-connection.ts";
import { openDataDirectory } from "../store/data-directory.ts";
import { attestsOthers } from "../svid/attest/workload/attest-others.ts";
import { createClosing } from "./closing.ts";
import { openWorkloadApi } from "./open-workload-api.ts";
import { type NodeReport, serveNodeHealth } from "./serve-node-health.ts";
import { sourceOnceOpen } from "./source-once-open.ts";

export interface NodeOptions {
  /** An origin; plain http on loopback only. */
  readonly server: string;
  readonly trust: ServerTrust;
  readonly dataDir: string;
  /** Undefined: in the data directory. */
  readonly socketPath: string | undefined;
  readonly logLevel: string;
  /** Whether processes of the node's own account get SVIDs: they could read its key. */
  readonly attestOwnUid: boolean;
  /** Where the configuration of an agent lies on this machine; undefined: none is measured. */
  readonly measure: string | undefined;
  /** Who is asked which pod a workload is in; undefined: nobody. */
  readonly kubelet: KubeletPlace | undefined;
  /** On loopback, for health and metrics; 0 for any free port, undefined for none. */
  readonly healthPort: number | undefined;
  /** Makes the evidence to join with; undefined where there is none. Not asked while the server takes an earlier identity. */
  readonly evidence:
    | ((connection: ServerConnection, publicKey: Uint8Array) => Promise<NodeEvidence>)
    | undefined;
  readonly onEvent: (event: NodeEvent) => void;
}

/** A node that serves. */
export interface RunningNode {
  readonly identity: NodeIdentity;
  readonly socketPath: string;
  readonly healthPort: number | undefined;
  readonly close: () => Promise<void>;
}

const time: NodeTime = {
  now: Date.now,
  random: Math.random,
  // Being called off ends it as time does.
  wait: (ms, signal) => later(ms, undefined, { signal }).catch(() => undefined),
};
const advice =
  "the node's own account gets no SVID: run the workload under another, or the node with --attest-own-uid";

/**
 * Runs a node: it joins once, keeps its identity, and serves the Workload API to the processes of its machine.
 *
 * @throws RefusedError, UnreachableError, DataDirectoryError; SocketTakenError where another serves the socket; Error in one
 *   line for what can't be served or read; what Node throws when the port for its health can't be had
 */
export async function runNode(options: NodeOptions): Promise<RunningNode> {
  const { server, trust, attestOwnUid, measure, kubelet, onEvent } = options;
  const logger = createLogger(options.logLevel);
  const closing = createClosing();
  const dataDir = resolve(options.dataDir);
  const socketPath = options.socketPath ?? joinPath(dataDir, "workload.sock");
  await openDataDirectory(dataDir);
  let shown: NodeIdentity | undefined = await readIdentity(dataDir);
  if (shown !== undefined && shown.expiresAtMs <= time.now()) shown = undefined;
  const onSlowed = (seconds: number) => onEvent({ event: "slowed", seconds });
  const connection = createServerConnection({ server, trust, identity: () => shown, onSlowed });
  closing.add(connection.close);
  let report: NodeReport | undefined;
  let node: NodeSource | undefined;
  try {
    // Before it joins: who watches it shall see that it tries to, and a token is not used up for a place that is taken.
    const healthPort = await serveNodeHealth(closing, options.healthPort, time.now, () => report);
    closing.add(async () => node?.close());
    const source = sourceOnceOpen(() => node?.source);
    const place = { socketPath, ...(options.socketPath === undefined && { dataDir }) };
    const api = await openWorkloadApi({ source, logger, isOutage: () => false, kubelet }, place);
    closing.add(api.close);
    const identity = {
      get current() {
        return shown as NodeIdentity;
      },
      set current(next) {
        shown = next;
      },
    };
    if (shown !== undefined && options.evidence !== undefined) {
      const isKnown = await isStillKnown({ connection, dataDir, identity, now: time.now, onEvent });
      if (!isKnown) shown = undefined;
    }
    shown ??= await joinOnce(options, connection, dataDir);
    const onFailed = (attestor: string, err: unknown) =>
      logger.warn({ err, attestor }, "a workload was not attested");
    const attest = attestsOthers({ now: time.now, onFailed }, { attestOwnUid, measure, kubelet, advice });
    node = openNodeSource({ ...time, connection, dataDir, attest, identity, onEvent });
    report = { standing: node.standing, openStreams: api.openStreams };
    return { identity: identity.current, socketPath, healthPort, close: closing.closeAll };
  } catch (error) {
    await closing.closeAll();
    throw error;
  }
}

async function joinOnce(
  { evidence }: NodeOptions,
  connection: ServerConnection,
  dataDir: string,
): Promise<NodeIdentity> {
  if (evidence === undefined)
    throw new DomainError(
      "not_attested",
      "this node has no identity that is still good: give it evidence to join with, such as --join-token",
    );
  const identity = await join(connection, evidence, time.now);
  await keepIdentity(dataDir, identity);
  return identity;
}
