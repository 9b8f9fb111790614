import { readFileSync } from "node:fs";
import type { ServerStatusWire } from "@countersign/sdk/contract/admin-api";
import type { OrganizationId } from "@countersign/sdk/model/ids";
import { z } from "zod";
import { DomainError } from "../domain/domain-error.ts";
import type { LedgerGauges } from "../http/metrics.ts";
import type { ReadinessCheck } from "../http/routes/health.ts";
import { checkNotBehind } from "../ledger/check-log.ts";
import { listLogs } from "../store/logs.ts";
import type { OpenLedger } from "./open-ledger.ts";

/** How the server is, for probes, metrics and `countersign doctor`. */
export interface Health {
  readonly checks: readonly ReadinessCheck[];
  readonly gauges: () => Promise<LedgerGauges>;
  readonly status: (organization: OrganizationId) => Promise<ServerStatusWire>;
}

export interface HealthRequest {
  readonly issuer: string;
  /** Things that work but should not stay as they are. */
  readonly warnings: readonly { readonly name: string; readonly detail: string }[];
}

const lagMsMax = 10_000;

/** Watches what the server needs: its database, its keys, and that every log is published and no older than it was. */
export function watchHealth(ledger: OpenLedger, { issuer, warnings }: HealthRequest): Health {
  const { db, memory, keys, sequencer } = ledger;
  const behindSinceMs = new Map<string, number>();

  async function lag(): Promise<string | undefined> {
    const late: string[] = [];
    for (const { id, nextIndex, publishedSize } of await listLogs(db)) {
      if (publishedSize >= nextIndex) behindSinceMs.delete(id);
      else if (!behindSinceMs.has(id)) behindSinceMs.set(id, Date.now());
      if (Date.now() - (behindSinceMs.get(id) ?? Date.now()) > lagMsMax) late.push(id);
    }
    return late.length > 0 ? `no checkpoint covers the last entries of ${late.join(", ")}` : undefined;
  }

  async function standing(): Promise<string | undefined> {
    for (const { id } of await listLogs(db)) {
      try {
        await checkNotBehind({ db, memory }, id);
      } catch (error) {
        if (error instanceof DomainError) return `log ${id}: ${error.publicDetail}`;
        throw error;
      }
    }
    return undefined;
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
    return {
      issuer,
      organization,
      version: productVersion(),
      ready: found.every(({ state }) => state === "ok"),
      checks: [...found, ...warnings.map((warning) => ({ ...warning, state: "warning" as const }))],
    };
  }

  return { checks, gauges, status };
}

function productVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return z.looseObject({ version: z.string() }).parse(JSON.parse(text)).version;
}

async function outcomeOf({ name, run }: ReadinessCheck) {
  const reason = await run().catch(() => "it can't be reached");
  return reason === undefined
    ? { name, state: "ok" as const, detail: "" }
    : { name, state: "failed" as const, detail: reason };
}
