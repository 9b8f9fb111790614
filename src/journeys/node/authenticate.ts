import type { X509Certificate } from "node:crypto";
import type { NodeId, OrganizationId } from "@countersign/sdk/model/ids";
import { principalOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { bundleOfOne } from "@countersign/sdk/verify/trust-bundle";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { verifyX509Svid } from "@countersign/sdk/verify/x509-svid";
import { DomainError } from "../../domain/domain-error.ts";
import type { Node, NodeSvid } from "../../domain/node.ts";
import { active } from "../record/conditions.ts";
import {
  type RecordDeps,
  type RequestContext,
  record,
  refuse,
  requestOf,
  type Trail,
} from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";
import { type ListNodeSvids, nodeKeyHash, spends } from "./node-svid.ts";

export interface AuthenticateNodeDeps extends RecordDeps, ListNodeSvids {
  readonly now: () => number;
  readonly trustDomain: TrustDomain;
  /** What we ourselves accept SVIDs by. */
  readonly svidBundle: () => TrustBundle;
  /** As it is published: with the authorities that were tainted, until they are withdrawn. */
  readonly trustBundle: () => TrustBundle;
  readonly findNode: (organization: OrganizationId, id: NodeId) => Promise<Node | undefined>;
  /** What was recorded of the SVID for the key of this hash; undefined where none was certified. */
  readonly findNodeSvid: (node: Node, publicKeyHash: string) => Promise<NodeSvid | undefined>;
  /** Notes, beside the ledger, that somebody showed an SVID which is spent. */
  readonly noteSpentShown: (node: Node) => Promise<void>;
  /** Does this for several callers of this process who ask for it at the same time, once. */
  readonly oneFor: (serial: string, work: () => Promise<void>) => Promise<void>;
}

/** A tainted authority's SVIDs are good for nothing but being exchanged for others. */
export type NodeUse = "serving" | "renewal";

/** A Node, and the serial of its X.509-SVID by which it is known. */
export interface KnownNode {
  readonly node: Node;
  readonly shown: string;
}

/**
 * The Node whose X.509-SVID a caller proved to hold. Nobody else's SVID is one; that the Node still is one, and the SVID not
 * spent, is read now. The first time that an SVID is shown spends the one before it.
 *
 * @throws DomainError `unauthenticated` for who presents none, or one of a key that was never recorded: whoever has a
 *   tainted authority's key can sign any. `not_attested` for a Node that was evicted and for an SVID that is spent, and
 *   `conflict` for one that was spent in this moment; these are recorded
 * @see X509-SVID, section 5
 */
export async function authenticateNode(
  deps: AuthenticateNodeDeps,
  certificate: X509Certificate | undefined,
  context: RequestContext,
  use: NodeUse,
): Promise<KnownNode> {
  const { node, shown } = await nodeOf(deps, certificate, use);
  const { organization, id, status } = node;
  const trail: Trail = {
    organization,
    actor: { kind: "node", id },
    ...requestOf(context),
    action: "node.authenticate",
  };
  if (status !== "active") throw await refuse(deps, "node.refused", trail, id, evicted);
  const { serial } = shown;
  if (shown.status === "unused")
    await deps.oneFor(serial, () => firstUse(deps, { node, shown: serial }, trail));
  if (shown.status !== "spent") return { node, shown: serial };
  await deps.noteSpentShown(node);
  const about = { detail: { svid: "x509", serial } };
  throw await refuse(deps, "node.refused", trail, serial, { ...spent, about });
}

/** Whether a caller would be let in still by what it was let in by; nothing is recorded of it. */
export async function isStillNode(
  deps: AuthenticateNodeDeps,
  certificate: X509Certificate | undefined,
): Promise<boolean> {
  try {
    const { node, shown } = await nodeOf(deps, certificate, "serving");
    return node.status === "active" && shown.status !== "spent";
  } catch (error) {
    if (error instanceof DomainError && error.code === "unauthenticated") return false;
    throw error;
  }
}

async function nodeOf(
  deps: AuthenticateNodeDeps,
  certificate: X509Certificate | undefined,
  use: NodeUse,
): Promise<{ readonly node: Node; readonly shown: NodeSvid }> {
  if (certificate === undefined) throw unauthenticated("a node presents its X.509-SVID in the handshake");
  const bundle = use === "renewal" ? deps.trustBundle() : deps.svidBundle();
  const { spiffeId } = await verifyX509Svid({ now: deps.now, bundleOf: bundleOfOne(bundle) }, [
    certificate.raw,
  ]).catch((error: unknown) => {
    if (!(error instanceof VerificationError)) throw error;
    throw unauthenticated("the certificate is no X.509-SVID of this trust domain", error);
  });
  const principal = principalOf(deps.trustDomain, spiffeId);
  if (principal?.kind !== "node") throw unauthenticated("the X.509-SVID is no node's");
  const node = await deps.findNode(principal.organization, principal.id);
  if (node === undefined) throw unauthenticated("the X.509-SVID is no node's");
  const shown = await deps.findNodeSvid(node, publicKeyHashOf(certificate));
  if (shown === undefined) throw unauthenticated("the X.509-SVID is none that was issued");
  return { node, shown };
}

/**
 * The machine has this one, and so needs none before it any more: whoever shows one from here on has a copy. That another
 * request of the machine came first, at whichever of our servers, is no refusal of this one.
 */
async function firstUse(
  deps: AuthenticateNodeDeps,
  { node, shown: serial }: KnownNode,
  trail: Trail,
): Promise<void> {
  const { standing } = await deps.listNodeSvids(node);
  if (isUsed(standing, serial)) return;
  try {
    await record(deps, {
      type: "node.renewed",
      refusedAs: "node.refused",
      trail,
      outcome: { detail: { svid: "x509", serial } },
      writes: [
        { set: "node_svid", id: serial, from: ["unused"], to: "used" },
        ...standing.filter((one) => one.serial !== serial).map(spends),
      ],
      conditions: [active("node", node.id)],
      demands: undefined,
    });
  } catch (error) {
    const isLate = error instanceof DomainError && error.code === "conflict";
    if (!isLate || !isUsed((await deps.listNodeSvids(node)).standing, serial)) throw error;
  }
}

function isUsed(standing: readonly NodeSvid[], of: string): boolean {
  return standing.some(({ serial, status }) => serial === of && status === "used");
}

function publicKeyHashOf({ publicKey }: X509Certificate): string {
  return nodeKeyHash(publicKey.export({ type: "spki", format: "der" }));
}

function unauthenticated(detail: string, cause?: unknown): DomainError {
  return new DomainError("unauthenticated", detail, cause);
}

const evicted = plainRefusal("not_attested", "the node was evicted");
const spent = plainRefusal(
  "not_attested",
  "another SVID of this node was used since this one: somebody has a copy, or had one",
);
