import type { AdminJourneys } from "../http/admin-deps.ts";
import type { Metrics } from "../http/metrics.ts";
import { type AddFederationRequest, addFederation } from "../journeys/federation/add.ts";
import { fetchDueBundles } from "../journeys/federation/fetch-due.ts";
import { type FederationDeps, refreshFederation } from "../journeys/federation/refresh.ts";
import { type RemoveFederationRequest, removeFederation } from "../journeys/federation/remove.ts";
import { fetchBundle } from "../svid/federation/fetch-bundle.ts";
import type { OpenLedger } from "./open-ledger.ts";

type RefreshCall = Parameters<AdminJourneys["refreshFederation"]>[0];

/** The journeys of federation, each as a function of its request alone. */
export function federationJourneys(
  { db, authorities: { verifySignature } }: OpenLedger,
  recording: Omit<FederationDeps, "db" | "fetchBundle">,
  timed: Metrics["timed"],
) {
  const deps: FederationDeps = {
    ...recording,
    db,
    fetchBundle: (endpoint, known) => fetchBundle({ now: recording.now, verifySignature }, endpoint, known),
  };
  return {
    addFederation: timed("federation.add", (request: AddFederationRequest) => addFederation(deps, request)),
    removeFederation: timed("federation.remove", (request: RemoveFederationRequest) =>
      removeFederation(deps, request),
    ),
    refreshFederation: timed("federation.refresh", ({ caller, context, federation }: RefreshCall) =>
      refreshFederation(deps, { by: { kind: caller.kind, id: caller.id }, context, federation }),
    ),
    /** What is fetched without anybody asking. */
    fetchDueBundles: timed("federation.fetch", () => fetchDueBundles(deps)),
  };
}
