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
import { type SignedX509Svid, type SignX509Deps, signX509Svid } from "../svid/sign-x509.ts";
import { nodeSvidRow, nodeSvidSeconds } from "./attest.ts";

export interface RenewNodeDeps extends CreateDeps, SignX509Deps {
  readonly now: () => number;
  readonly randomBytes: (size: number) => Uint8Array;
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
): Promise<SignedX509Svid> {
  const { id, organization } = node;
  const trail: Trail = {
    organization,
    actor: { kind: "node", id },
    ...requestOf(context),
    action: "node.renew",
  };
  if (!isP256PublicKey(publicKey)) throw await refuse(deps, "svid.refused", trail, "key", noKey);
  const spiffeId = spiffeIdOf(deps.trustDomain, { kind: "node", organization, id });
  const subject = { spiffeId, dnsNames: [], publicKey, lifetimeSeconds: nodeSvidSeconds };
  return signX509Svid(deps, subject, ({ claimsHash, detail, condition, serial, expiresAt }) =>
    record(deps, {
      type: "svid.issued",
      refusedAs: "svid.refused",
      trail,
      outcome: { claims_hash: claimsHash, detail: { ...detail, node: id } },
      writes: [{ into: "node_svid", row: nodeSvidRow(organization, id, serial, expiresAt) }],
      conditions: [active("node", id), condition],
      demands: context.demands,
    }),
  );
}

const noKey = plainRefusal("invalid_request", "public_key: must be a SubjectPublicKeyInfo on P-256");
