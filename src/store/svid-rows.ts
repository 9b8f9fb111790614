import type { NodeAttestation } from "../domain/node.ts";

// The rows of what SVIDs are issued on, and of the SVIDs, as in rows.ts.

/** Which workloads an Agent's SVIDs are given to. */
export interface RegistrationEntryRow {
  readonly id: string;
  readonly organization_id: string;
  readonly agent_id: string;
  readonly parent_id: string | null;
  readonly selectors: readonly string[];
  readonly selectors_hash: string;
  readonly x509_ttl_seconds: number;
  readonly jwt_ttl_seconds: number;
  readonly dns_names: readonly string[];
  readonly hint: string | null;
  readonly federates_with: readonly string[];
  readonly status: "active";
  readonly created_at: Date;
}
/** What one machine may join with, once. */
export interface JoinTokenRow {
  readonly id: string;
  readonly organization_id: string;
  /** SHA-256, base64url. */
  readonly token_hash: string;
  readonly name: string | null;
  readonly expires_at: Date;
  readonly status: "unused";
  readonly created_at: Date;
  /** The node that a machine is again which joins with it. */
  readonly node_id: string | null;
}
export interface NodeRow {
  readonly id: string;
  readonly organization_id: string;
  readonly name: string;
  readonly attestation: NodeAttestation;
  readonly subject: string;
  readonly selectors: readonly string[];
  readonly status: "active";
  readonly attested_at: Date;
}
/** An SVID of an Agent, and what it rests on. */
export interface SvidRow {
  /** Of an X.509-SVID its serial number in hex, of a JWT-SVID its `jti`. */
  readonly id: string;
  readonly organization_id: string;
  readonly agent_id: string;
  readonly entry_id: string;
  readonly node_id: string | null;
  readonly checksum: string | null;
  readonly claims_hash: string;
  readonly issued_at: Date;
  readonly expires_at: Date;
}
/** An X.509-SVID of a Node; the statement adds in which order. */
export interface NodeSvidRow {
  /** Its serial: hex. */
  readonly id: string;
  readonly organization_id: string;
  readonly node_id: string;
  readonly expires_at: Date;
  /** SHA-256 of the SubjectPublicKeyInfo: base64url. */
  readonly public_key_hash: string;
  readonly status: "unused" | "used";
  /** The serial that was the node's last when it was issued. */
  readonly follows: string | null;
  /** Id of the authority that signed it. */
  readonly authority: string;
}
