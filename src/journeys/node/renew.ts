import { spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { Node } from "../../domain/node.ts";
import type { NodeLimits } from "../../domain/node-limits.ts";
import { active } from "../record/conditions.ts";
import { type CreateDeps, type RequestContext, record, requestOf, type Trail } from "../record/record.ts";
import { orByAnother } from "../svid/authority.ts";
import { prepareX509Svid, type SignX509SvidDeps } from "../svid/sign-x509.ts";
import { demandKey } from "./demand-key.ts";
import { type ListNodeSvids, type NodeX509Svid, nodeSvidMs, nodeSvidWrite, spends } from "./node-svid.ts";

export interface RenewNodeDeps
  extends CreateDeps,
    SignX509SvidDeps,
    ListNodeSvids,
    Pick<NodeLimits, "admitRenewal"> {
  readonly trustDomain: TrustDomain;
}

export interface RenewNodeRequest {
  /** The caller, by its X.509-SVID. */
  readonly node: Node;
  /** The serial of that one. */
  readonly shown: string;
  /** SubjectPublicKeyInfo of the next key. */
  readonly publicKey: Uint8Array;
  readonly context: RequestContext;
}

/**
 * Issues the next X.509-SVID of a Node to the Node itself. What is shown stays good until the next one is first used; a
 * next one that was issued before, and never used, is spent: it may not have arrived.
 *
 * @throws DomainError `invalid_request` for a key that is none, `subject_not_active` for a Node that was evicted,
 *   `too_many_requests` for one that asks too often, `conflict` where another was issued or used meanwhile, or the authority,
 *   and the one after it, were tainted just now; `ledger_unavailable`; Error when what was signed does not verify
 */
export async function renewNode(deps: RenewNodeDeps, request: RenewNodeRequest): Promise<NodeX509Svid> {
  deps.admitRenewal(request.node.id);
  return orByAnother(deps, () => renewOnce(deps, request));
}

async function renewOnce(
  deps: RenewNodeDeps,
  { node, shown, publicKey, context }: RenewNodeRequest,
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
  const { last, standing } = await deps.listNodeSvids(node);
  const nowMs = deps.now();
  const endsAtMs = nowMs + nodeSvidMs;
  const prepared = prepareX509Svid(deps, { spiffeId, dnsNames: [], publicKey, endsAtMs }, nowMs);
  await record(deps, {
    type: "svid.issued",
    refusedAs: "svid.refused",
    trail,
    outcome: { claims_hash: prepared.claimsHash, detail: { ...prepared.detail, node: id } },
    writes: [
      nodeSvidWrite(node, publicKey, prepared, { status: "unused", follows: last }),
      ...standing.filter(({ serial }) => serial !== shown).map(spends),
    ],
    conditions: [active("node", id), { on: "node_svid", id: shown, status: ["used"] }, prepared.condition],
    demands: context.demands,
  });
  return prepared.sign();
}
