import { type NodeId, newId, type OrganizationId } from "@countersign/sdk/model/ids";
import { spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { Node } from "../../domain/node.ts";
import { sha256 } from "../../ledger/sha256.ts";
import type { Write } from "../../store/write.ts";
import type { AttestedMachine } from "../../svid/attest/node/attestor.ts";
import { type CreateDeps, type RequestContext, record, requestOf, type Trail } from "../record/record.ts";
import { orByAnother } from "../svid/authority.ts";
import { type PreparedX509Svid, prepareX509Svid, type SignX509SvidDeps } from "../svid/sign-x509.ts";
import { demandKey } from "./demand-key.ts";

export interface AttestNodeDeps extends CreateDeps, SignX509SvidDeps {
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
  readonly svid: NodeX509Svid;
}

/** An X.509-SVID of a node, which alone has the key. */
export interface NodeX509Svid {
  /** In DER: the leaf first, then the intermediates. */
  readonly certificates: readonly Uint8Array[];
  readonly expiresAtMs: number;
}

/** How long it lives. */
export const nodeSvidMs = 3_600_000;

/**
 * Makes a machine a Node, with an X.509-SVID of its own for the key that it sent. A join token is used up by the same
 * commit, so that of two who come with it at once one joins.
 *
 * @throws DomainError `invalid_request` for a key that is none, `conflict` where the same machine is a Node already, or its
 *   token was used meanwhile, or the authority, and the one after it, were tainted just now; `ledger_unavailable`; Error when
 *   what was signed does not verify
 */
export async function attestNode(deps: AttestNodeDeps, request: AttestNodeRequest): Promise<AttestedNode> {
  return orByAnother(deps, () => attestOnce(deps, request));
}

async function attestOnce(
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
  await demandKey(deps, "node.refused", trail, publicKey);
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
  const spiffeId = spiffeIdOf(deps.trustDomain, { kind: "node", organization, id });
  const endsAtMs = nowMs + nodeSvidMs;
  const prepared = prepareX509Svid(deps, { spiffeId, dnsNames: [], publicKey, endsAtMs }, nowMs);
  const writes: Write[] = [
    { into: "node", row },
    nodeSvidWrite(organization, id, publicKey, prepared),
    ...(uses === undefined ? [] : [{ set: "join_token" as const, id: uses, from: ["unused"], to: "used" }]),
  ];
  await record(deps, {
    type: "node.attested",
    refusedAs: "node.refused",
    trail,
    outcome: {
      target: { kind: "node", id },
      claims_hash: prepared.claimsHash,
      detail: {
        ...prepared.detail,
        attestation,
        subject,
        ...(uses !== undefined && { join_token: uses }),
      },
    },
    writes,
    conditions: [prepared.condition],
    demands: context.demands,
  });
  const svid = await prepared.sign();
  const node: Node = {
    id,
    organization,
    name,
    attestation,
    subject,
    selectors,
    status: "active",
    attestedAtMs: nowMs,
    svid: { serial: prepared.detail.serial, expiresAtMs: svid.expiresAtMs },
  };
  return { node, svid };
}

/** The row that tells of an X.509-SVID of a node. */
export function nodeSvidWrite(
  organization: OrganizationId,
  id: NodeId,
  publicKey: Uint8Array,
  { detail: { serial, expires_at } }: PreparedX509Svid,
): Write {
  return {
    into: "node_svid",
    row: {
      serial,
      organization_id: organization,
      node_id: id,
      expires_at: new Date(expires_at),
      public_key_hash: nodeKeyHash(publicKey),
    },
  };
}

/** SHA-256 of a SubjectPublicKeyInfo: base64url. */
export function nodeKeyHash(publicKey: Uint8Array): string {
  return Buffer.from(sha256(publicKey)).toString("base64url");
}
