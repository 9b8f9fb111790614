import type { JoinTokenId, NodeId, OrganizationId } from "@countersign/sdk/model/ids";

/** How a machine proved what it is. */
export type NodeAttestation = "join_token" | "x509pop" | "k8s_psat";

/** A machine that serves the Workload API to what runs on it. */
export interface Node {
  readonly id: NodeId;
  readonly organization: OrganizationId;
  readonly name: string;
  readonly attestation: NodeAttestation;
  /** What was attested; of those that are active, each is another's. */
  readonly subject: string;
  readonly selectors: readonly string[];
  readonly status: "active" | "evicted";
  readonly attestedAtMs: number;
  /** Its latest X.509-SVID, while that is known. */
  readonly svid: { readonly serial: string; readonly expiresAtMs: number } | undefined;
}

/** What one machine may join with, once. */
export interface JoinToken {
  readonly id: JoinTokenId;
  readonly organization: OrganizationId;
  readonly name: string | undefined;
  readonly expiresAtMs: number;
  readonly status: "unused" | "used";
}
