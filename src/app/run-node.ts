import { join as joinPath, resolve } from "node:path";
import type { NodeEvidence } from "@countersign/sdk/contract/node-face";
import { DomainError } from "../domain/domain-error.ts";
import type { SvidSource } from "../domain/svid-source.ts";
import { createLogger } from "../http/logger.ts";
import { join } from "../node/join.ts";
import { keepIdentity, type NodeIdentity, readIdentity } from "../node/node-identity.ts";
import { type NodeEvent, openNodeSource } from "../node/node-source.ts";
import {
  createServerConnection,
  type ServerConnection,
  type ServerTrust,
} from "../node/server-connection.ts";
import { createWorkloadAttestation } from "../svid/attest/workload/attest-workload.ts";
import { createSystemdAttestor } from "../svid/attest/workload/systemd.ts";
import { createUnixAttestor } from "../svid/attest/workload/unix.ts";
import { createClosing } from "./closing.ts";
import { openWorkloadApi } from "./open-workload-api.ts";

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
  /** Makes the evidence to join with; undefined where there is none. Not asked while an earlier identity is good. */
  readonly evidence:
    | ((connection: ServerConnection, publicKey: Uint8Array) => Promise<NodeEvidence>)
    | undefined;
  readonly onEvent: (event: NodeEvent) => void;
}

/** A node that serves. */
export interface RunningNode {
  readonly identity: NodeIdentity;
  readonly socketPath: string;
  readonly close: () => Promise<void>;
}

/**
 * Runs a node: it joins once, keeps its identity, and serves the Workload API to the processes of its machine.
 *
 * @throws RefusedError, UnreachableError; Error in one line for what can't be served or read
 */
export async function runNode(options: NodeOptions): Promise<RunningNode> {
  const logger = createLogger(options.logLevel);
  const closing = createClosing();
  const dataDir = resolve(options.dataDir);
  const socketPath = options.socketPath ?? joinPath(dataDir, "workload.sock");
  let shown: NodeIdentity | undefined = await readIdentity(dataDir);
  if (shown !== undefined && shown.expiresAtMs <= Date.now()) shown = undefined;
  const { server, trust } = options;
  const connection = createServerConnection({ server, trust, identity: () => shown });
  try {
    shown ??= await joinOnce(options, connection, dataDir);
    const identity = {
      get current() {
        return shown as NodeIdentity;
      },
      set current(next) {
        shown = next;
      },
    };
    const attest = attestsOthers(options.attestOwnUid, (attestor, err) =>
      logger.warn({ err, attestor }, "a workload was not attested"),
    );
    const { onEvent } = options;
    const node = openNodeSource({ connection, dataDir, attest, identity, onEvent });
    closing.add(node.close);
    const place = { socketPath, ...(options.socketPath === undefined && { dataDir }) };
    const api = await openWorkloadApi({ source: node.source, logger, isOutage: () => false }, place);
    closing.add(api.close);
    return { identity: identity.current, socketPath, close: closing.closeAll };
  } catch (error) {
    connection.close();
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
  const identity = await join(connection, evidence);
  await keepIdentity(dataDir, identity);
  return identity;
}

/** Attests every process but those of our own account: they can read our key, so that no SVID would say anything of them. */
function attestsOthers(
  attestOwnUid: boolean,
  onFailed: (attestor: string, error: unknown) => void,
): SvidSource["attest"] {
  const ownUid = process.getuid?.();
  const attestors = [createUnixAttestor({ now: Date.now }), createSystemdAttestor()];
  const attest = createWorkloadAttestation(attestors, { now: Date.now, onFailed });
  return async (peer) => {
    if (peer.uid === ownUid && !attestOwnUid)
      throw new DomainError(
        "not_attested",
        "the node's own account gets no SVID: run the workload under another",
      );
    return attest(peer);
  };
}
