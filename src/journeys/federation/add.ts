import type { LedgerEntryBody } from "@countersign/sdk/contract/ledger-entry";
import { newId, systemLog } from "@countersign/sdk/model/ids";
import { type Principal, parseSpiffeId, pathOf, trustDomainOf } from "@countersign/sdk/model/spiffe-id";
import { ValueTaken } from "../../domain/domain-error.ts";
import type { BundleEndpoint, FederatedTrustDomain } from "../../domain/federation.ts";
import { findFederation } from "../../store/federation.ts";
import type { Write } from "../../store/write.ts";
import { BundleFetchError } from "../../svid/federation/bundle-fetch-error.ts";
import { bundleHash, type ReadBundle, readBundleDocument } from "../../svid/federation/read-bundle.ts";
import { appendDemanded } from "../record/append-demanded.ts";
import { callerConditions } from "../record/conditions.ts";
import { type Recorded, type RequestContext, refuse, type Trail, trailOf } from "../record/record.ts";
import { plainRefusal, type Refusal } from "../record/refusal.ts";
import { type FederationDeps, refreshFederation } from "./refresh.ts";

export interface AddFederationRequest {
  /** An operator who runs the installation. */
  readonly caller: Principal;
  readonly endpoint: Omit<BundleEndpoint, "endpointSpiffeId">;
  /** For how long its bundle is believed after it was last fetched. */
  readonly trustedForSeconds: number;
  /** As received. */
  readonly endpointSpiffeId: string | undefined;
  /** The document of its bundle, which the operator has from elsewhere: what the endpoint is verified by the first time. */
  readonly bundle: unknown;
  readonly context: RequestContext;
}

/**
 * Federates with a foreign trust domain: from now on its bundle is fetched, and those workloads are given it whose entries
 * name it. It is fetched at once; that it can't be is told, and no refusal.
 *
 * @throws DomainError `invalid_request` for our own trust domain and for what does not fit the profile, `conflict` for one
 *   that is federated with already, `subject_not_active`, `ledger_unavailable`
 * @see SPIFFE Federation, sections 5.1 and 6.1
 */
export async function addFederation(
  deps: FederationDeps,
  request: AddFederationRequest,
): Promise<Recorded<FederatedTrustDomain>> {
  const { caller, context, endpoint, trustedForSeconds } = request;
  const trail: Trail = { ...trailOf(caller, context), action: "federation.add" };
  const read = readRequest(deps, request);
  if ("code" in read) throw await refuse(deps, "mutation.refused", trail, "endpoint", read);
  const nowMs = deps.now();
  const at = new Date(nowMs);
  const id = newId("federation", nowMs, deps.randomBytes(16));
  const { trustDomain, endpointUrl, profile, ca, privateAllowed } = endpoint;
  const row = {
    id,
    trust_domain: trustDomain,
    endpoint_url: endpointUrl,
    profile,
    endpoint_spiffe_id: read.endpointSpiffeId ?? null,
    ca: ca ?? null,
    private_allowed: privateAllowed,
    trusted_for_seconds: trustedForSeconds,
    status: "active",
    created_at: at,
    due_at: at,
  } as const;
  const sequence = read.given?.bundle.sequence;
  const writes: Write[] = [{ into: "federated_trust_domain", row }];
  if (read.given !== undefined) {
    const first = { federation_id: id, revision: 1, bundle: read.given.text, sequence: sequence ?? null };
    writes.push({ into: "federated_bundle", row: first });
  }
  const detail = {
    federation: id,
    trust_domain: trustDomain,
    endpoint_url: endpointUrl,
    profile,
    private_allowed: privateAllowed,
    trusted_for: trustedForSeconds,
    ...(read.endpointSpiffeId !== undefined && { endpoint_spiffe_id: read.endpointSpiffeId }),
    ...(ca !== undefined && { ca: bundleHash(ca) }),
    ...(read.given && { bundle: bundleHash(read.given.text) }),
    ...(sequence !== undefined && { sequence }),
  };
  const appended = await append(deps, { trail, detail, writes }, request);
  const { log, index } = appended;
  const federation = await findFederation(deps.db, trustDomain);
  if (federation === undefined) throw await refuse(deps, "mutation.refused", trail, "removed", removed);
  const { demands: _, ...rest } = context;
  await refreshFederation(deps, { federation, by: trail.actor, context: rest });
  const present = (await findFederation(deps.db, trustDomain)) ?? federation;
  return { ...present, ledger: { log, index } };
}

interface Readable {
  readonly endpointSpiffeId: BundleEndpoint["endpointSpiffeId"];
  readonly given: ReadBundle | undefined;
}

function readRequest(
  { trustDomain: own }: FederationDeps,
  request: AddFederationRequest,
): Readable | Refusal {
  const { endpoint, endpointSpiffeId: text, bundle } = request;
  const { trustDomain, profile, ca } = endpoint;
  if (trustDomain === own) return plainRefusal("invalid_request", "trust_domain: this one is our own");
  const given = bundle === undefined ? undefined : readGiven(trustDomain, bundle);
  if (given !== undefined && "code" in given) return given;
  if (profile === "https_web")
    return text === undefined ? { endpointSpiffeId: undefined, given } : notWithWeb;
  const endpointSpiffeId = parseSpiffeId(text ?? "");
  if (endpointSpiffeId === undefined || pathOf(endpointSpiffeId) === "") return noEndpointId;
  // Whoever speaks for another trust domain would decide whose IDs are believed there.
  if (trustDomainOf(endpointSpiffeId) !== trustDomain) return foreignEndpointId;
  if (ca !== undefined) return notWithSpiffe;
  return given === undefined ? noBundle : { endpointSpiffeId, given };
}

function readGiven(trustDomain: BundleEndpoint["trustDomain"], bundle: unknown): ReadBundle | Refusal {
  try {
    return readBundleDocument(trustDomain, bundle);
  } catch (error) {
    if (!(error instanceof BundleFetchError)) throw error;
    return plainRefusal("invalid_request", `bundle: ${error.message}`);
  }
}

async function append(
  deps: FederationDeps,
  {
    trail,
    detail,
    writes,
  }: {
    readonly trail: Trail;
    readonly detail: NonNullable<LedgerEntryBody["detail"]>;
    readonly writes: readonly Write[];
  },
  { caller, context, endpoint: { trustDomain } }: AddFederationRequest,
) {
  const { organization: _, ...asked } = trail;
  const appended = await appendDemanded(
    deps,
    systemLog,
    {
      entry: { ...asked, type: "federation.added", detail },
      refused: { ...asked, type: "mutation.refused", detail },
      refusalOf: () => notActive,
      writes,
      conditions: callerConditions(caller),
    },
    context.demands,
  ).catch(async (error: unknown) => {
    if (!(error instanceof ValueTaken)) throw error;
    const standing = await findFederation(deps.db, trustDomain);
    const refusal = standing !== undefined && standing.fetchedAtMs === undefined ? takenInVain : taken;
    throw await refuse(deps, "mutation.refused", trail, "unique", refusal);
  });
  if (!appended.committed) throw await refuse(deps, "mutation.refused", trail, "inactive", appended.refusal);
  return appended;
}

const taken = plainRefusal("conflict", "the trust domain is federated with already: remove it first");
const takenInVain = plainRefusal(
  "conflict",
  "the trust domain is federated with already, though its bundle was never fetched: to correct how, remove it and add it again",
);
const removed = plainRefusal("conflict", "the trust domain was removed meanwhile");
const notActive = plainRefusal("subject_not_active", "the operator is not active");
const notWithWeb = plainRefusal("invalid_request", "endpoint_spiffe_id: goes with the profile https_spiffe");
const notWithSpiffe = plainRefusal("invalid_request", "ca: goes with the profile https_web");
const noEndpointId = plainRefusal(
  "invalid_request",
  "endpoint_spiffe_id: must be the SPIFFE ID of the endpoint's server, with the profile https_spiffe",
);
const foreignEndpointId = plainRefusal(
  "invalid_request",
  "endpoint_spiffe_id: must be of the same trust domain",
);
const noBundle = plainRefusal(
  "invalid_request",
  "bundle: must be given with the profile https_spiffe, to verify the endpoint by the first time",
);
