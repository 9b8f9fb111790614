import { spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { Node } from "../../domain/node.ts";
import { isP256PublicKey } from "../../svid/key-pair.ts";
import { active } from "../record/conditions.ts";
import {
  type CreateDeps,
  type RequestContext,
  record,
  refuse,
  requestOf,
  type Trail,
} from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";
import { prepareX509Svid, type SignX509SvidDeps } from "../svid/sign-x509.ts";
import { type NodeX509Svid, nodeSvidMs, nodeSvidWrite } from "./attest.ts";

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
 *   `ledger_unavailable`
 */
export async function renewNode(
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
  if (!isP256PublicKey(publicKey)) throw await refuse(deps, "svid.refused", trail, "key", noKey);
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

const noKey = plainRefusal("invalid_request", "public_key: must be a SubjectPublicKeyInfo on P-256");
