import type { ServerResponse } from "node:http";
import { type LogId, systemLog } from "@countersign/sdk/model/ids";
import { collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { DomainError } from "../domain/domain-error.ts";

/** How far the ledger's followers are behind, read when somebody asks for the metrics. */
export interface LedgerGauges {
  /** Entries that wait to be committed. */
  readonly queued: number;
  /** Entries that are committed but not under a checkpoint yet, for each log. */
  readonly unpublished: readonly { readonly log: LogId; readonly entries: number }[];
}

/** What the Workload API has to do now. */
export interface WorkloadGauges {
  /** SVIDs that are given out again until half of their life is over. */
  readonly held: { readonly x509: number; readonly jwt: number };
  /** Streams of workloads that are open. */
  readonly streams: number;
}

export interface Metrics {
  /** Times one request until its response is done. `route` is a template, never a path: paths are endless. */
  timeRequest(method: string, response: ServerResponse, route: () => string): void;
  /** Wraps a journey so that each run of it is timed, by outcome: `ok` or the error's code. */
  timed<Arguments extends unknown[], Result>(
    journey: string,
    run: (...given: Arguments) => Promise<Result>,
  ): (...given: Arguments) => Promise<Result>;
  /** Gives the source of the ledger's gauges. */
  watchLedger(read: () => Promise<LedgerGauges>): void;
  /** Gives the source of the Workload API's gauges. */
  watchWorkloads(read: () => WorkloadGauges): void;
  /** All of it in the Prometheus text format. */
  render(): Promise<{ contentType: string; text: string }>;
}

const unknownLedger: LedgerGauges = { queued: Number.NaN, unpublished: [] };
const bucketsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Makes the metrics of one server, in a registry of their own. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const requests = new Histogram({
    name: "countersign_http_request_duration_seconds",
    help: "Time from a request's headers to the end of its response.",
    labelNames: ["method", "route", "status"],
    buckets: bucketsSeconds,
    registers,
  });
  const journeys = new Histogram({
    name: "countersign_journey_duration_seconds",
    help: "Time that a journey took, by outcome: ok, or the code of its error.",
    labelNames: ["journey", "outcome"],
    buckets: bucketsSeconds,
    registers,
  });
  let readLedger = async (): Promise<LedgerGauges> => ({ queued: 0, unpublished: [] });
  // Whoever asks for the metrics while the database is away gets all the others.
  ledgerGauges(registers, () => readLedger().catch(() => unknownLedger));

  const watchWorkloads = workloadGauges(registers);

  return {
    timeRequest(method, response, route) {
      const stop = requests.startTimer();
      response.once("close", () => stop({ method, route: route(), status: response.statusCode }));
    },
    timed(journey, run) {
      return async (...given) => {
        const stop = journeys.startTimer({ journey });
        try {
          const result = await run(...given);
          stop({ outcome: "ok" });
          return result;
        } catch (error) {
          stop({ outcome: error instanceof DomainError ? error.code : "internal" });
          throw error;
        }
      };
    },
    watchLedger(read) {
      readLedger = read;
    },
    watchWorkloads,
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}

/** The gauges of the Workload API, wherever it is served. @returns what gives their source */
export function workloadGauges(registers: Registry[]): Metrics["watchWorkloads"] {
  let read = (): WorkloadGauges => ({ held: { x509: 0, jwt: 0 }, streams: 0 });
  new Gauge({
    name: "countersign_svids_held",
    help: "SVIDs that are held, to be given out again until half of their life is over.",
    labelNames: ["svid"],
    registers,
    collect() {
      const { x509, jwt } = read().held;
      this.set({ svid: "x509" }, x509);
      this.set({ svid: "jwt" }, jwt);
    },
  });
  new Gauge({
    name: "countersign_workload_api_streams",
    help: "Streams of workloads that are open.",
    registers,
    collect() {
      this.set(read().streams);
    },
  });
  return (given) => {
    read = given;
  };
}

function ledgerGauges(registers: Registry[], read: () => Promise<LedgerGauges>): void {
  new Gauge({
    name: "countersign_ledger_queued_entries",
    help: "Entries that wait to be committed.",
    registers,
    async collect() {
      this.set((await read()).queued);
    },
  });
  new Gauge({
    name: "countersign_ledger_unpublished_entries",
    help: "Entries that are committed but under no checkpoint yet: of the log system, and of all organizations' logs.",
    labelNames: ["log"],
    registers,
    async collect() {
      this.reset();
      for (const { log, entries } of (await read()).unpublished) {
        // Anybody may ask for the metrics, and which organizations there are is not for everybody.
        this.inc({ log: log === systemLog ? log : "organizations" }, entries);
      }
    },
  });
}
