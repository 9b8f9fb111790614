import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { type Metrics, type WorkloadGauges, workloadGauges } from "./metrics.ts";

/** How a node is, read when somebody asks for the metrics. */
export interface NodeGauges extends WorkloadGauges {
  readonly isServerReachable: boolean;
  /** Since the server answered last. */
  readonly silenceSeconds: number;
  /** When the node's own SVID ends, in seconds since the epoch. */
  readonly svidExpiresAt: number;
  readonly entries: number;
  /** Since the node runs. */
  readonly attestationsRefused: number;
  readonly renewalsFailed: number;
}

/**
 * Makes the metrics of one node, in a registry of their own.
 *
 * @param read undefined while the node has not joined: of its gauges nothing is told then
 */
export function createNodeMetrics(read: () => NodeGauges | undefined): Pick<Metrics, "render"> {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, value: (gauges: NodeGauges) => number) =>
    new Gauge({
      name: `countersign_node_${name}`,
      help,
      registers,
      collect() {
        const gauges = read();
        this.set(gauges === undefined ? Number.NaN : value(gauges));
      },
    });
  const counter = (name: string, help: string, value: (gauges: NodeGauges) => number) =>
    new Counter({
      name: `countersign_node_${name}`,
      help,
      registers,
      collect() {
        this.reset();
        const gauges = read();
        this.inc(gauges === undefined ? 0 : value(gauges));
      },
    });
  gauge("server_reachable", "1 while the server answers, 0 while the node serves from memory.", (of) =>
    of.isServerReachable ? 1 : 0,
  );
  gauge("server_silence_seconds", "Time since the server answered last.", (of) => of.silenceSeconds);
  gauge(
    "svid_expires_timestamp_seconds",
    "When the node's own SVID ends, since the epoch.",
    (of) => of.svidExpiresAt,
  );
  gauge("entries", "Registration entries of the node, as far as it knows.", (of) => of.entries);
  counter(
    "attestations_refused_total",
    "Calls of the Workload API whose caller was not attested.",
    (of) => of.attestationsRefused,
  );
  counter(
    "renewals_failed_total",
    "Tries to renew the node's own SVID that failed.",
    (of) => of.renewalsFailed,
  );
  workloadGauges(registers)(() => read() ?? { held: { x509: 0, jwt: 0 }, streams: 0 });
  return { render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }) };
}
