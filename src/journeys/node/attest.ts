import { type NodeId, newId } from "@countersign/sdk/model/ids";
import { spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { Node } from "../../domain/node.ts";
import type { Write } from "../../store/write.ts";
import type { AttestedMachine } from "../../svid/attest/node/attestor.ts";
import { isP256PublicKey } from "../../svid/key-pair.ts";
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

export interface AttestNodeDeps extends CreateDeps, SignX509Deps {
  readonly now: () => number;
  readonly randomBytes: (size: number) => Uint8Array;
  readonly trustDomain: TrustDomain;
}

export interface AttestNodeRequest {
  /** What an attestor made of the evidence. */
  readonly machine: AttestedMachine;
  /** SubjectPublicKeyInfo of the key that the machine made. */
  readonly publicKey: Uint8Array;
  readonly context: RequestContext;
}

export interface AttestedNode {
  readonly node: Node;
  readonly svid: SignedX509Svid;
}

/** How long an X.509-SVID of a node lives. */
export const nodeSvidSeconds = 3_600;

/**
 * Makes a machine a Node, with an X.509-SVID of its own for the key that it sent. A join token is used up by the same
 * commit, so that of two who come with it at once one joins.
 *
 * @throws DomainError `invalid_request` for a key that is none, `conflict` where the same machine is a Node already, or its
 *   token was used meanwhile; `ledger_unavailable`
 */
export async function attestNode(
  deps: AttestNodeDeps,
  { machine, publicKey, context }: AttestNodeRequest,
): Promise<AttestedNode> {
  const { organization, attestation, subject, selectors, uses } = machine;
  const nowMs = deps.now();
  const id = newId("node", nowMs, deps.randomBytes(16));
  const name = machine.name ?? id;
  const trail: Trail = {
    organization,
    actor: { kind: "system", id: attestation },
    ...requestOf(context),
    action: "node.attest",
  };
  if (!isP256PublicKey(publicKey)) throw await refuse(deps, "node.refused", trail, "key", noKey);
  const row = {
    id,
    organization_id: organization,
    name,
    attestation,
    subject,
    selectors,
    status: "active",
    attested_at: new Date(nowMs),
  } as const;
  const about = { spiffeId: spiffeIdOf(deps.trustDomain, { kind: "node", organization, id }), dnsNames: [] };
  let serial = "";
  const svid = await signX509Svid(
    deps,
    { ...about, publicKey, lifetimeSeconds: nodeSvidSeconds },
    ({ claimsHash, detail, condition, expiresAt, serial: given }) => {
      serial = given;
      const writes: Write[] = [
        { into: "node", row },
        { into: "node_svid", row: nodeSvidRow(organization, id, given, expiresAt) },
        ...(uses === undefined
          ? []
          : [{ set: "join_token" as const, id: uses, from: ["unused"], to: "used" }]),
      ];
      return record(deps, {
        type: "node.attested",
        refusedAs: "node.refused",
        trail,
        outcome: {
          target: { kind: "node", id },
          claims_hash: claimsHash,
          detail: { ...detail, attestation, subject, ...(uses !== undefined && { join_token: uses }) },
        },
        writes,
        conditions: [condition],
        demands: context.demands,
      });
    },
  );
  const node: Node = {
    id,
    organization,
    name,
    attestation,
    subject,
    selectors,
    status: "active",
    attestedAtMs: nowMs,
    svid: { serial, expiresAtMs: svid.expiresAtMs },
  };
  return { node, svid };
}

/** The row that tells of an X.509-SVID of a node. */
export function nodeSvidRow(organization: string, id: NodeId, serial: string, expiresAt: Date) {
  return { serial, organization_id: organization, node_id: id, expires_at: expiresAt };
}

const noKey = plainRefusal("invalid_request", "public_key: must be a SubjectPublicKeyInfo on P-256");
