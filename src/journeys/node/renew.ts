import { spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { Node } from "../../domain/node.ts";
import { active } from "../record/conditions.ts";
import { type CreateDeps, type RequestContext, record, requestOf, type Trail } from "../record/record.ts";
import { orByAnother } from "../svid/authority.ts";
import { prepareX509Svid, type SignX509SvidDeps } from "../svid/sign-x509.ts";
import { type NodeX509Svid, nodeSvidMs, nodeSvidWrite } from "./attest.ts";
import { demandKey } from "./demand-key.ts";

export interface RenewNodeDeps extends CreateDeps, SignX509SvidDeps {
  readonly trustDomain: TrustDomain;
}

export interface RenewNodeRequest {
  /** The caller, by its X.509-SVID. */
  readonly node: Node;
  /** SubjectPublicKeyInfo of the next key. */
  readonly publicKey: Uint8Array;
  readonly context: RequestContext;
}

/**
 * Issues the next X.509-SVID of a Node to the Node itself.
 *
 * @throws DomainError `invalid_request` for a key that is none, `subject_not_active` for a Node that was evicted;
 *   `conflict` when the authority, and the one after it, were tainted just now; `ledger_unavailable`; Error when what was signed
 *   does not verify
 */
export async function renewNode(deps: RenewNodeDeps, request: RenewNodeRequest): Promise<NodeX509Svid> {
  return orByAnother(deps, () => renewOnce(deps, request));
}

async function renewOnce(
  deps: RenewNodeDeps,
  { node, publicKey, context }: RenewNodeRequest,
): Promise<NodeX509Svid> {
  const { id, organization } = node;
  const trail: Trail = {
    organization,
    actor: { kind: "node", id },
    ...requestOf(context),
    action: "node.renew",
  };
  await demandKey(deps, "svid.refused", trail, publicKey);
  const spiffeId = spiffeIdOf(deps.trustDomain, { kind: "node", organization, id });
  const nowMs = deps.now();
  const endsAtMs = nowMs + nodeSvidMs;
  const prepared = prepareX509Svid(deps, { spiffeId, dnsNames: [], publicKey, endsAtMs }, nowMs);
  await record(deps, {
    type: "svid.issued",
    refusedAs: "svid.refused",
    trail,
    outcome: { claims_hash: prepared.claimsHash, detail: { ...prepared.detail, node: id } },
    writes: [nodeSvidWrite(organization, id, publicKey, prepared)],
    conditions: [active("node", id), prepared.condition],
    demands: context.demands,
  });
  return prepared.sign();
}
