import type { LedgerEntryBody } from "@countersign/sdk/contract/ledger-entry";
import type { AgentChecksum } from "@countersign/sdk/model/agent-configuration";
import type { SubjectMappingId, TrustedIssuerId } from "@countersign/sdk/model/ids";

/** By what the sender of a request proved to be an agent, where it was not by a key of its own. */
export type Proof = SvidProof | AssertionProof;

/** An SVID of ours, whose signature was verified. */
export interface SvidProof {
  readonly svid: {
    /** Of an X.509-SVID its serial number in hex, of a JWT-SVID its `jti`. */
    readonly id: string;
    /** Of what was signed, as a ledger entry says it. */
    readonly claimsHash: string;
  };
}

/** A verified assertion of a trusted issuer. */
export interface AssertionProof {
  readonly trustedIssuer: TrustedIssuerId;
  /** By which its subject is the agent; or the rule by which one is made of a subject that was never seen. */
  readonly mapping: SubjectMappingId;
  /** By which the mapping was made. */
  readonly rule?: SubjectMappingId | undefined;
  /** Of what the agent is made, as far as its platform signed it. */
  readonly checksum: AgentChecksum | undefined;
  /** A subject that was never seen. The client's id is then one that is kept for it. */
  readonly newSubject?: string;
}

/** Whether it is of a subject that was never seen. */
export function isOfNewSubject(
  proof: Proof | undefined,
): proof is AssertionProof & { readonly newSubject: string } {
  return proof !== undefined && !("svid" in proof) && proof.newSubject !== undefined;
}

/** A node measures what it gives an SVID to; of what a platform says, we have its word. */
export function attestationBy(proof: Proof | undefined): NonNullable<LedgerEntryBody["attestation"]> {
  if (proof === undefined) return "none";
  return "svid" in proof ? "measured" : "platform";
}
