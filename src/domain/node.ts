import type { JoinTokenId, NodeId, OrganizationId } from "@countersign/sdk/model/ids";

/** How a machine proved what it is. */
export type NodeAttestation = "join_token" | "x509pop" | "k8s_psat";

/** A machine that serves the Workload API to what runs on it. */
export interface Node {
  readonly id: NodeId;
  readonly organization: OrganizationId;
  readonly name: string;
  /** Of the machine that joined last, as are the next three. */
  readonly attestation: NodeAttestation;
  /** What was attested; of those that are active, each is another's. */
  readonly subject: string;
  readonly selectors: readonly string[];
  readonly attestedAtMs: number;
  readonly status: "active" | "evicted";
  /** Its latest X.509-SVID, while that is known. */
  readonly svid: { readonly serial: string; readonly expiresAtMs: number } | undefined;
  /** When an SVID was last shown that another had followed in use: somebody has a copy, or had one. */
  readonly spentShownAtMs: number | undefined;
  /** When it was last evicted, or its machine joined anew: what was got for it before is good for nothing any more. */
  readonly stoppedAtMs: number | undefined;
}

/**
 * An X.509-SVID of a Node, as it was recorded. It is `unused` until its key is first proved; from then on it is `used`, and
 * whatever was used before it is `spent`, as is one in whose place another was issued before it was used.
 */
export interface NodeSvid {
  /** Hex. */
  readonly serial: string;
  readonly status: "unused" | "used" | "spent";
  readonly expiresAtMs: number;
}

/** What of a Node's SVIDs may still be shown. */
export interface NodeSvids {
  /** Serial of the one that was issued last; undefined where none is known. */
  readonly last: string | undefined;
  /** None of them spent: one that is used and one that is unused, at the most. */
  readonly standing: readonly StandingNodeSvid[];
}

export interface StandingNodeSvid extends NodeSvid {
  /** Whether the authority that signed it was withdrawn. */
  readonly isDisowned: boolean;
}

/** What one machine may join with, once. */
export interface JoinToken {
  readonly id: JoinTokenId;
  readonly organization: OrganizationId;
  readonly name: string | undefined;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly status: "unused" | "used";
  /** The Node that a machine is again which joins with it; undefined: it becomes another one. */
  readonly node: NodeId | undefined;
}
