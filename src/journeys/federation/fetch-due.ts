import { claimDueFederations } from "../../store/federation.ts";
import { type FederationDeps, refreshFederation } from "./refresh.ts";

const by = { kind: "system", id: "federation" } as const;
const context = {};
/** Longer than a fetch may take: a process that ends meanwhile leaves its share to the others. */
const claimedMs = 60_000;

/**
 * Fetches the foreign bundles that are due, each once however many processes do this.
 *
 * @throws AggregateError of what went wrong here; that an endpoint does not do is noted, and no error
 */
export async function fetchDueBundles(deps: FederationDeps): Promise<void> {
  const nowMs = deps.now();
  const due = await claimDueFederations(deps.db, {
    now: new Date(nowMs),
    until: new Date(nowMs + claimedMs),
  });
  const done = await Promise.allSettled(
    due.map((federation) => refreshFederation(deps, { federation, by, context })),
  );
  const failures = done.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
  if (failures.length > 0) throw new AggregateError(failures, "foreign bundles could not be taken over");
}
