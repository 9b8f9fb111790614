import type { LedgerPosition } from "@countersign/sdk/contract/fields";
import type { LedgerActor } from "@countersign/sdk/contract/ledger-entry";
import { systemLog } from "@countersign/sdk/model/ids";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { DomainError, ValueTaken } from "../../domain/domain-error.ts";
import {
  type BundleEndpoint,
  dueAfterMs,
  type FederatedTrustDomain,
  type HeldBundle,
  isSequenceInReach,
  refreshAfterSeconds,
  retryAfterSeconds,
} from "../../domain/federation.ts";
import type { Database } from "../../store/database.ts";
import { noteFailed, noteFetched } from "../../store/federation.ts";
import { BundleFetchError } from "../../svid/federation/bundle-fetch-error.ts";
import { bundleHash, type ReadBundle, readBundle } from "../../svid/federation/read-bundle.ts";
import { appendDemanded } from "../record/append-demanded.ts";
import { type CreateDeps, type RequestContext, requestOf } from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";

export interface FederationDeps extends CreateDeps {
  readonly db: Database;
  /** Our own. */
  readonly trustDomain: TrustDomain;
  /** @throws BundleFetchError */
  readonly fetchBundle: (endpoint: BundleEndpoint, known: TrustBundle | undefined) => Promise<ReadBundle>;
}

export interface RefreshRequest {
  readonly federation: FederatedTrustDomain;
  readonly by: LedgerActor;
  readonly context: RequestContext;
}

/**
 * Fetches the bundle of a foreign trust domain and takes it over where it is another: recorded with its hash, in the commit
 * that holds it. What can't be fetched, or is older than what is known, is noted, and what is known stays.
 *
 * @returns where it was recorded; undefined when it is as it was, or could not be had
 * @throws DomainError `conflict` when the trust domain was removed meanwhile; or as AppendEntry does
 */
export async function refreshFederation(
  deps: FederationDeps,
  request: RefreshRequest,
): Promise<LedgerPosition | undefined> {
  const { db } = deps;
  const { federation } = request;
  const { id, trustDomain, bundle: held, failures } = federation;
  const due = (seconds: number) => new Date(deps.now() + dueAfterMs(seconds, randomPart(deps)));
  try {
    const known = held && readBundle(trustDomain, Buffer.from(held.text, "utf8")).bundle;
    const fetched = await deps.fetchBundle(federation, known);
    demandNewer(held, fetched.bundle, deps.now());
    const recorded = fetched.text === held?.text ? undefined : await takeOver(deps, request, fetched);
    const at = new Date(deps.now());
    await noteFetched(db, { id, at, due: due(refreshAfterSeconds(fetched.bundle.refreshHintSeconds)) });
    return recorded;
  } catch (error) {
    if (!(error instanceof BundleFetchError)) throw error;
    const at = new Date(deps.now());
    await noteFailed(db, { id, at, due: due(retryAfterSeconds(failures + 1)), reason: error.message });
    return undefined;
  }
}

/** What an operator can do about a sequence that is right, whatever it looks like from here. */
const anew = "if that is right, remove the trust domain and add it again";

/** A bundle of the past may hold what was withdrawn since. @see SPIFFE Trust Domain and Bundle, section 4.1.1 */
function demandNewer(held: HeldBundle | undefined, { sequence }: TrustBundle, nowMs: number): void {
  if (held === undefined) return;
  const { sequence: known } = held;
  if (known !== undefined && (sequence === undefined || sequence < known))
    throw new BundleFetchError(
      `its bundle is older than the one that is known, of sequence ${known}: ${anew}`,
    );
  if (sequence !== undefined && !isSequenceInReach(sequence, known, nowMs))
    throw new BundleFetchError(
      `its bundle's sequence ${sequence} is further ahead of the known one than changes can be: ${anew}`,
    );
}

async function takeOver(
  deps: FederationDeps,
  { federation: { id, trustDomain, bundle: held }, by, context }: RefreshRequest,
  { text, bundle: { sequence } }: ReadBundle,
): Promise<LedgerPosition | undefined> {
  const revision = (held?.revision ?? 0) + 1;
  const row = { federation_id: id, revision, bundle: text, sequence: sequence ?? null };
  const detail = {
    federation: id,
    trust_domain: trustDomain,
    bundle: bundleHash(text),
    ...(sequence !== undefined && { sequence }),
  };
  const common = { actor: by, ...requestOf(context), detail };
  const appended = await appendDemanded(
    deps,
    systemLog,
    {
      entry: { ...common, type: "federation.refreshed" },
      refused: { ...common, type: "mutation.refused", action: "federation.refresh" },
      refusalOf: () => plainRefusal("conflict", "the trust domain was removed meanwhile"),
      writes: [{ into: "federated_bundle", row }],
      conditions: [{ on: "federated_trust_domain", id, status: ["active"] }],
    },
    context.demands,
  ).catch((error: unknown) => {
    // Another process was first: what it took over is what counts.
    if (error instanceof ValueTaken && error.index === "federated_bundle_pkey") return undefined;
    throw error;
  });
  if (appended === undefined) return undefined;
  if (!appended.committed) throw new DomainError(appended.refusal.code, appended.refusal.publicDetail);
  return { log: appended.log, index: appended.index };
}

/** From 0 to 1. */
function randomPart({ randomBytes }: Pick<FederationDeps, "randomBytes">): number {
  const [byte = 0] = randomBytes(1);
  return byte / 255;
}
