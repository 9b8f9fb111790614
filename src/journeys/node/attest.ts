import type { NodeEvidence } from "@countersign/sdk/contract/node-face";
import { type NodeId, newId, type OrganizationId } from "@countersign/sdk/model/ids";
import { spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { DomainError, UsedBefore } from "../../domain/domain-error.ts";
import type { Node } from "../../domain/node.ts";
import type { Condition, Write } from "../../store/write.ts";
import type { AttestedMachine } from "../../svid/attest/node/attestor.ts";
import type { AuthenticationFailure } from "../authentication/count-failure.ts";
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
import { orByAnother } from "../svid/authority.ts";
import { prepareX509Svid, type SignX509SvidDeps } from "../svid/sign-x509.ts";
import { demandKey } from "./demand-key.ts";
import {
  isGood,
  type ListNodeSvids,
  type NodeX509Svid,
  nodeSvidMs,
  nodeSvidWrite,
  spends,
} from "./node-svid.ts";

export interface AttestNodeDeps extends CreateDeps, SignX509SvidDeps, ListNodeSvids {
  readonly trustDomain: TrustDomain;
  /** Which machine the evidence shows. @throws DomainError `not_attested` for evidence that shows none */
  readonly attestMachine: (evidence: NodeEvidence, publicKey: Uint8Array) => Promise<AttestedMachine>;
  /** What shows no machine is of no organization, and so in no log. */
  readonly countFailure: (failure: AuthenticationFailure) => void;
  readonly findNode: (organization: OrganizationId, id: NodeId) => Promise<Node | undefined>;
  /** The Node as which this machine was attested first; one that was evicted where none is active. */
  readonly findNodeOf: (
    organization: OrganizationId,
    machine: Pick<AttestedMachine, "attestation" | "subject">,
  ) => Promise<Node | undefined>;
}

export interface AttestNodeRequest {
  readonly evidence: NodeEvidence;
  /** SubjectPublicKeyInfo of the key that the machine made. */
  readonly publicKey: Uint8Array;
  readonly context: RequestContext;
}

export interface AttestedNode {
  readonly node: Node;
  readonly svid: NodeX509Svid;
}

/**
 * Makes a machine a Node, or the one again that it was, with an X.509-SVID of its own for the key that it sent. Evidence that is
 * good once is used up by the same commit, so that of two who come with it at once one joins. Who is a Node already is it again by the
 * same evidence once no SVID of it is good any more, having ended or been signed by an authority
 * that was withdrawn since, and before that by a join token that was made for it.
 *
 * @throws DomainError `invalid_request` for a key that is none; `not_attested` for evidence that shows no machine, and for a Node
 *   that was evicted; `conflict` where the machine is a Node and has an SVID, its token was used meanwhile, or the authority, and
 *   the one after it, were tainted just now; `ledger_unavailable`; Error when what was signed does not verify
 */
export async function attestNode(deps: AttestNodeDeps, request: AttestNodeRequest): Promise<AttestedNode> {
  const { evidence, publicKey } = request;
  const counted = (error: unknown) => {
    deps.countFailure({ reason: `node_${evidence.kind}`, endpoint: "/v1" });
    throw error;
  };
  const machine = await deps.attestMachine(evidence, publicKey).catch((error: unknown) => {
    if (error instanceof DomainError && error.code === "not_attested") return counted(error);
    throw error;
  });
  return orByAnother(deps, () => attestOnce(deps, machine, request)).catch((error: unknown) => {
    // Two came with it at once.
    if (error instanceof UsedBefore) return counted(error);
    throw error;
  });
}

async function attestOnce(
  deps: AttestNodeDeps,
  machine: AttestedMachine,
  { publicKey, context }: AttestNodeRequest,
): Promise<AttestedNode> {
  const { organization, attestation, subject, uses, once } = machine;
  const trail: Trail = {
    organization,
    actor: { kind: "system", id: attestation },
    ...requestOf(context),
    action: "node.attest",
  };
  await demandKey(deps, "node.refused", trail, publicKey);
  const nowMs = deps.now();
  const { node, writes, conditions, follows } = await nodeFor(deps, machine, trail, nowMs);
  const spiffeId = spiffeIdOf(deps.trustDomain, { kind: "node", organization, id: node.id });
  const endsAtMs = nowMs + nodeSvidMs;
  const prepared = prepareX509Svid(deps, { spiffeId, dnsNames: [], publicKey, endsAtMs }, nowMs);
  await record(deps, {
    type: "node.attested",
    refusedAs: "node.refused",
    trail,
    outcome: {
      target: { kind: "node", id: node.id },
      claims_hash: prepared.claimsHash,
      detail: {
        ...prepared.detail,
        attestation,
        subject,
        ...(uses !== undefined && { join_token: uses }),
      },
    },
    writes: [
      ...writes,
      nodeSvidWrite(node, publicKey, prepared, { status: "used", follows }),
      ...(once === undefined ? [] : [once]),
      ...(uses === undefined ? [] : [{ set: "join_token" as const, id: uses, from: ["unused"], to: "used" }]),
    ],
    conditions: [...conditions, prepared.condition],
    demands: context.demands,
  });
  const svid = await prepared.sign();
  return {
    node: { ...node, svid: { serial: prepared.detail.serial, expiresAtMs: svid.expiresAtMs } },
    svid,
  };
}

/** What a machine becomes a Node by, beside the SVID. */
interface Joining {
  readonly node: Node;
  readonly writes: readonly Write[];
  readonly conditions: readonly Condition[];
  /** The serial of the last SVID that it had. */
  readonly follows: string | undefined;
}

async function nodeFor(
  deps: AttestNodeDeps,
  machine: AttestedMachine,
  trail: Trail,
  nowMs: number,
): Promise<Joining> {
  const { organization, again, attestation, subject, selectors } = machine;
  const known = await (again === undefined
    ? deps.findNodeOf(organization, machine)
    : deps.findNode(organization, again.node));
  if (known === undefined) return newNode(deps, machine, nowMs);
  const { id, status, stoppedAtMs = Number.NEGATIVE_INFINITY } = known;
  if (status !== "active") throw await refuse(deps, "node.refused", trail, id, evicted);
  if (again !== undefined && again.saidAtMs <= stoppedAtMs)
    throw await refuse(deps, "node.refused", trail, id, outlived);
  const { last, standing } = await deps.listNodeSvids(known);
  // Only an operator says that an SVID which is good is in nobody's hands any more.
  if (again === undefined && standing.some((svid) => isGood(svid, nowMs)))
    throw await refuse(deps, "node.refused", trail, id, isNode);
  // What was got for its workloads ends too: who kept it need not be who joins.
  const joins = { attestation, subject, selectors, attested_at: new Date(nowMs) };
  const joining = { set: "node", id, from: ["active"], to: "active", joins } as const;
  const unstoppedSince = again && new Date(again.saidAtMs).toISOString();
  return {
    node: { ...known, attestation, subject, selectors, attestedAtMs: nowMs },
    writes: [joining, ...standing.map(spends)],
    conditions: unstoppedSince === undefined ? [] : [{ ...active("node", id), unstoppedSince }],
    follows: last,
  };
}

function newNode(deps: AttestNodeDeps, machine: AttestedMachine, nowMs: number): Joining {
  const { organization, attestation, subject, selectors, name } = machine;
  const id = newId("node", nowMs, deps.randomBytes(16));
  const node: Node = {
    id,
    organization,
    name: name ?? id,
    attestation,
    subject,
    selectors,
    status: "active",
    attestedAtMs: nowMs,
    svid: undefined,
    spentShownAtMs: undefined,
    stoppedAtMs: undefined,
  };
  const row = {
    id,
    organization_id: organization,
    name: node.name,
    attestation,
    subject,
    selectors,
    status: "active",
    attested_at: new Date(nowMs),
  } as const;
  return { node, writes: [{ into: "node", row }], conditions: [], follows: undefined };
}

const evicted = plainRefusal("not_attested", "the node was evicted: an operator lets it in again");
const outlived = plainRefusal(
  "not_attested",
  "the node was evicted, or joined anew, since the join token was made",
);
const isNode = plainRefusal("conflict", "this machine is a node, and has an SVID that is good");
