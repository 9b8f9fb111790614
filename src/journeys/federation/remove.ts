import { systemLog } from "@countersign/sdk/model/ids";
import type { Principal, TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { type FederatedTrustDomain, noFederation } from "../../domain/federation.ts";
import { findFederation } from "../../store/federation.ts";
import { appendDemanded } from "../record/append-demanded.ts";
import { callerConditions } from "../record/conditions.ts";
import {
  demandFound,
  type Recorded,
  type RequestContext,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";
import type { FederationDeps } from "./refresh.ts";

export interface RemoveFederationRequest {
  /** An operator who runs the installation. */
  readonly caller: Principal;
  readonly trustDomain: TrustDomain;
  readonly context: RequestContext;
}

/**
 * Ends the federation with a foreign trust domain: no workload is given its bundle any more, whatever entries say.
 *
 * @throws DomainError `not_found`, `conflict` when it was removed meanwhile, `ledger_unavailable`
 * @see SPIFFE Federation, section 6.3
 */
export async function removeFederation(
  deps: FederationDeps,
  { caller, trustDomain, context }: RemoveFederationRequest,
): Promise<Recorded<FederatedTrustDomain>> {
  const trail: Trail = { ...trailOf(caller, context), action: "federation.remove" };
  const federation = await demandFound(deps, trail, await findFederation(deps.db, trustDomain), unknown);
  const { organization: _, ...asked } = trail;
  const detail = { federation: federation.id, trust_domain: trustDomain };
  const appended = await appendDemanded(
    deps,
    systemLog,
    {
      entry: { ...asked, type: "federation.removed", detail },
      refused: { ...asked, type: "mutation.refused", detail },
      refusalOf: () => changed,
      writes: [{ set: "federated_trust_domain", id: federation.id, from: ["active"], to: "deleted" }],
      conditions: callerConditions(caller),
    },
    context.demands,
  );
  if (!appended.committed) throw await refuse(deps, "mutation.refused", trail, "changed", appended.refusal);
  return { ...federation, status: "deleted", ledger: { log: appended.log, index: appended.index } };
}

const unknown = plainRefusal("not_found", noFederation);
const changed = plainRefusal("conflict", "it was changed meanwhile");
