import { createPresentedCertificates } from "../http/client-certificate.ts";
import { startHttpServer } from "../http/http-server.ts";
import { createNodeHealthFace } from "../http/node-health-face.ts";
import { createNodeMetrics, type NodeGauges } from "../http/node-metrics.ts";
import { nodeHealth } from "../node/node-health.ts";
import type { NodeSource } from "../node/node-source.ts";
import type { WorkloadApi } from "../workload-api/workload-api.ts";
import type { Closing } from "./closing.ts";

/** What is told of a node that serves. */
export interface NodeReport extends Pick<NodeSource, "standing">, Pick<WorkloadApi, "openStreams"> {}

const drainMs = 1_000;

/**
 * Serves a node's health and metrics, to loopback alone.
 *
 * @param port 0 for any free port; undefined: nothing is served
 * @param report undefined while the node serves nothing yet
 * @returns the port
 * @throws what Node throws when the port can't be had (`EADDRINUSE`, `EACCES`)
 */
export async function serveNodeHealth(
  closing: Closing,
  port: number | undefined,
  now: () => number,
  report: () => NodeReport | undefined,
): Promise<number | undefined> {
  if (port === undefined) return undefined;
  const face = createNodeHealthFace({
    metrics: createNodeMetrics(() => gaugesOf(report(), now())),
    health: () => nodeHealth(report()?.standing(), now()),
  });
  const certificates = createPresentedCertificates();
  const server = await startHttpServer(face, { host: "127.0.0.1", port, certificates });
  closing.add(() => server.drain(drainMs));
  return server.port;
}

function gaugesOf(report: NodeReport | undefined, nowMs: number): NodeGauges | undefined {
  if (report === undefined) return undefined;
  const standing = report.standing();
  const { serverAwaySinceMs, lastAnswerAtMs, svidExpiresAtMs, entries } = standing;
  return {
    ...standing,
    isServerReachable: serverAwaySinceMs === undefined,
    silenceSeconds: (nowMs - lastAnswerAtMs) / 1000,
    svidExpiresAt: svidExpiresAtMs / 1000,
    entries: entries ?? 0,
    streams: report.openStreams(),
  };
}
