import type { ServerStatusWire } from "@countersign/sdk/contract/server-status";
import { type LogId, logOf, type OrganizationId, systemLog } from "@countersign/sdk/model/ids";
import { productVersion } from "../config.ts";
import type { LedgerGauges } from "../http/metrics.ts";
import type { ReadinessCheck } from "../http/routes/health.ts";
import { federationFindings } from "../journeys/health/federation-findings.ts";
import type { Finding } from "../journeys/health/finding.ts";
import { copiedNodeFindings } from "../journeys/health/node-findings.ts";
import { overdrawnFindings } from "../journeys/health/svid-findings.ts";
import { trustDomainFindings } from "../journeys/health/trust-domain-findings.ts";
import type { LogStanding } from "../ledger/check-log.ts";
import { listLogs } from "../store/logs.ts";
import type { OpenLedger } from "./open-ledger.ts";
import type { ServedWorkloads } from "./open-svids.ts";
import { watchPublicationLag } from "./publication-lag.ts";
import { type Standings, watchStandings } from "./watch-standings.ts";

/** How the server is, for probes, metrics and `countersign doctor`. */
export interface Health {
  /** What they say is for everybody: it names no organization, and so no log. */
  readonly checks: readonly ReadinessCheck[];
  /** Which logs are not what was signed, and what to do; undefined when none is. For those who run the server. */
  readonly brokenLogs: () => Promise<string | undefined>;
  readonly gauges: () => Promise<LedgerGauges>;
  readonly status: (organization: OrganizationId) => Promise<ServerStatusWire>;
}

export interface HealthRequest {
  readonly issuer: string;
  /** Things that work but should not stay as they are. */
  readonly warnings: readonly { readonly name: string; readonly detail: string }[];
  /** Of the Workload API: undefined while nobody has tried to serve it. */
  readonly workloads: () => ServedWorkloads | undefined;
  /** Told of `brokenLogs` whenever others are broken than before. */
  readonly onBroken: (logs: string) => void;
}

const logsNamedMax = 5;
const words = {
  extends: { state: "ok", detail: "it holds all that was signed, as far as is remembered" },
  missing: {
    state: "warning",
    detail:
      "no checkpoint of it is remembered in the server's data directory: if the database was set back in time, nobody here would notice",
  },
  behind: { state: "failed", detail: "it lacks entries that were signed, see `countersign ledger recover`" },
  forked: {
    state: "failed",
    detail: "it holds other entries than were signed, see `countersign ledger recover`",
  },
} as const satisfies Record<LogStanding["state"], Pick<Finding, "state" | "detail">>;

/** Watches what the server needs: its database, its keys, and that every log is published and no older than it was. */
export function watchHealth(ledger: OpenLedger, request: HealthRequest): Health {
  const { issuer, warnings, onBroken } = request;
  const { db, memory, keys, sequencer } = ledger;
  const lateLogs = watchPublicationLag(Date.now);
  const standings = watchStandings({ db, memory, now: Date.now });
  let told = "";

  async function lag(): Promise<string | undefined> {
    const late = lateLogs(await listLogs(db)).length;
    return late > 0 ? `no checkpoint covers the last entries of ${logs(late)}` : undefined;
  }

  async function broken(): Promise<{ readonly count: number; readonly named: string }> {
    const found = [...(await standings())].filter(([, state]) => words[state].state === "failed");
    const named = found
      .slice(0, logsNamedMax)
      .map(([log, state]) => `log ${log}: ${words[state].detail}`)
      .join("; ");
    if (named !== told && named !== "") onBroken(named);
    told = named;
    return { count: found.length, named };
  }

  async function standing(): Promise<string | undefined> {
    const { count } = await broken();
    return count > 0
      ? `not what was signed: ${logs(count)}, see the server's log and \`countersign ledger recover\``
      : undefined;
  }

  async function brokenLogs(): Promise<string | undefined> {
    return (await broken()).named || undefined;
  }

  const checks: readonly ReadinessCheck[] = [
    { name: "database", run: () => db.prisma.$queryRaw`SELECT 1`.then(() => undefined) },
    { name: "keys", run: async () => (keys.tokenKeys().published.length > 0 ? undefined : "no token key") },
    { name: "ledger", run: standing },
    { name: "checkpoints", run: lag },
  ];

  async function gauges(): Promise<LedgerGauges> {
    const unpublished = (await listLogs(db)).map(({ id, nextIndex, publishedSize }) => ({
      log: id,
      entries: nextIndex - publishedSize,
    }));
    return { queued: sequencer.waiting(), unpublished };
  }

  async function status(organization: OrganizationId): Promise<ServerStatusWire> {
    const found = await Promise.all(checks.map(outcomeOf));
    // Without a database the checks say so.
    const known = await standings().catch((): Standings => new Map());
    const trustDomain = await trustDomainFindings(db, Date.now()).catch(() => []);
    const nodes = await copiedNodeFindings(db, organization, Date.now()).catch(() => []);
    const own = [systemLog, logOf(organization)].flatMap((log) => findingOf(log, known.get(log)));
    const workloads = request.workloads();
    // The foreign trust domains are the installation's, as are the entries of the server's own machine.
    const isInstallation = organization === ledger.organization;
    const foreign = isInstallation ? await federationFindings(db, Date.now()).catch(() => []) : [];
    const overdrawn = isInstallation ? overdrawnFindings(workloads?.overdrawn() ?? []) : [];
    return {
      issuer,
      organization,
      version: productVersion(),
      ready: found.every(({ state }) => state === "ok"),
      checks: [
        ...found,
        ...own,
        ...trustDomain,
        ...socketFinding(workloads),
        ...overdrawn,
        ...foreign,
        ...nodes,
        ...warnings.map((warning) => ({ ...warning, state: "warning" as const })),
      ],
    };
  }

  return { checks, brokenLogs, gauges, status };
}

function logs(count: number): string {
  return count === 1 ? "one log" : `${count} logs`;
}

function findingOf(log: LogId, state: LogStanding["state"] | undefined): Finding[] {
  return state === undefined ? [] : [{ name: `log ${log}`, ...words[state] }];
}

async function outcomeOf({ name, run }: ReadinessCheck): Promise<Finding> {
  const reason = await run().catch(() => "it can't be reached");
  return reason === undefined ? { name, state: "ok", detail: "" } : { name, state: "failed", detail: reason };
}

function socketFinding(workloads: ServedWorkloads | undefined): Finding[] {
  if (workloads === undefined) return [];
  const name = "Workload API";
  const reason = workloads.notServed();
  return reason === undefined
    ? [{ name, state: "ok", detail: "served at workload.sock in the data directory" }]
    : [{ name, state: "warning", detail: `not served: ${reason}` }];
}
