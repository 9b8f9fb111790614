import type { X509Certificate } from "node:crypto";
import type { NodeId, OrganizationId } from "@countersign/sdk/model/ids";
import { principalOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { bundleOfOne } from "@countersign/sdk/verify/trust-bundle";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { verifyX509Svid } from "@countersign/sdk/verify/x509-svid";
import { DomainError } from "../../domain/domain-error.ts";
import type { Node } from "../../domain/node.ts";
import { type RecordDeps, type RequestContext, refuse, requestOf } from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";
import { nodeKeyHash } from "./attest.ts";

export interface AuthenticateNodeDeps extends Pick<RecordDeps, "recordRefusal"> {
  readonly now: () => number;
  readonly trustDomain: TrustDomain;
  /** What we ourselves accept SVIDs by. */
  readonly svidBundle: () => TrustBundle;
  /** As it is published: with the authorities that were tainted, until they are withdrawn. */
  readonly trustBundle: () => TrustBundle;
  /** Whether a key was certified for this Node by us, as was recorded then. */
  readonly isNodeKey: (node: Node, publicKeyHash: string) => Promise<boolean>;
  readonly findNode: (organization: OrganizationId, id: NodeId) => Promise<Node | undefined>;
}

/** A tainted authority's SVIDs are good for nothing but being exchanged for others. */
export type NodeUse = "serving" | "renewal";

/**
 * The Node whose X.509-SVID a caller proved to hold. Nobody else's SVID is one, and that the Node still is one is read now.
 *
 * @throws DomainError `unauthenticated` for who presents none, `not_attested` for a Node that was evicted, which is recorded.
 *   For a renewal, `unauthenticated` for a key that was never recorded: whoever has a tainted authority's key can sign any
 */
export async function authenticateNode(
  deps: AuthenticateNodeDeps,
  certificate: X509Certificate | undefined,
  context: RequestContext,
  use: NodeUse,
): Promise<Node> {
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
  if (use === "renewal" && !(await deps.isNodeKey(node, publicKeyHashOf(certificate))))
    throw unauthenticated("the X.509-SVID is none that was issued");
  if (node.status === "active") return node;
  const { organization, id } = node;
  const trail = {
    organization,
    actor: { kind: "node", id },
    ...requestOf(context),
    action: "node.authenticate",
  } as const;
  throw await refuse(deps, "node.refused", trail, id, evicted);
}

function publicKeyHashOf({ publicKey }: X509Certificate): string {
  return nodeKeyHash(publicKey.export({ type: "spki", format: "der" }));
}

function unauthenticated(detail: string, cause?: unknown): DomainError {
  return new DomainError("unauthenticated", detail, cause);
}

const evicted = plainRefusal("not_attested", "the node was evicted");
