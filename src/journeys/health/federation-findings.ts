import type { FederatedTrustDomain } from "../../domain/federation.ts";
import type { Database } from "../../store/database.ts";
import { listFederations } from "../../store/federation.ts";
import { outlineOf } from "../federation/outline.ts";
import type { Finding } from "./finding.ts";

const lookedAtMax = 1_000;
const toldMax = 16;

/** What is not well with the foreign trust domains: whose bundle can't be fetched, or is believed no more. */
export async function federationFindings(db: Database, nowMs: number): Promise<readonly Finding[]> {
  const findings = (await listFederations(db, { limit: lookedAtMax })).flatMap((one) =>
    findingOf(one, nowMs),
  );
  const more = findings.length - toldMax;
  if (more <= 0) return findings;
  return [
    ...findings.slice(0, toldMax),
    { name: "federation", state: "warning", detail: `and ${more} more: countersign federation list` },
  ];
}

function findingOf(federation: FederatedTrustDomain, nowMs: number): Finding[] {
  const { trustDomain, failed } = federation;
  const endsAtMs = outlineOf(federation)?.endsAtMs;
  const hasEnded = endsAtMs !== undefined && endsAtMs < nowMs;
  if (failed === undefined && !hasEnded) return [];
  const why = failed === undefined ? "" : `its bundle could not be fetched: ${failed.reason}; `;
  const until = endsAtMs === undefined ? "" : ` until ${new Date(endsAtMs).toISOString()}`;
  const holds = federation.bundle === undefined ? "none is known" : `what is known of it holds${until}`;
  return [
    {
      name: "federation",
      state: hasEnded ? "failed" : "warning",
      detail: `${trustDomain}: ${why}${hasEnded ? `what is known of it is believed no more since ${new Date(endsAtMs).toISOString()}` : holds}`,
    },
  ];
}
