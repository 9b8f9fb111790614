import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import type { LedgerEntryBody } from "@countersign/sdk/contract/ledger-entry";
import type { AgentChecksum } from "@countersign/sdk/model/agent-configuration";
import type { SubjectMappingId, TrustedIssuerId } from "@countersign/sdk/model/ids";

/** By what the sender of a request proved to be an agent, where it was not by a key of its own. */
export type Proof = SvidProof | AssertionProof | NewSubjectProof;

/** An SVID of ours, whose signature was verified. */
export interface SvidProof {
  readonly kind: "svid";
  /** Of an X.509-SVID its serial number in hex, of a JWT-SVID its `jti`. */
  readonly id: string;
  /** Of what was signed, as a ledger entry says it. */
  readonly claimsHash: string;
}

interface AssertedProof {
  readonly trustedIssuer: TrustedIssuerId;
  /** Of what the agent is made, as far as its platform signed it. */
  readonly checksum: AgentChecksum | undefined;
}

/** A verified assertion of a trusted issuer. */
export interface AssertionProof extends AssertedProof {
  readonly kind: "assertion";
  /** By which its subject is the agent. */
  readonly mapping: SubjectMappingId;
  /** By which the mapping was made. */
  readonly rule?: SubjectMappingId | undefined;
}

/** The same of a subject that was never seen. The client's id is one that is kept for it. */
export interface NewSubjectProof extends AssertedProof {
  readonly kind: "new_subject";
  readonly subject: string;
  /** By which an agent is made of it. */
  readonly rule: SubjectMappingId;
}

/** A node measures what it gives an SVID to; of what a platform says, we have its word. */
export function attestationBy(proof: Proof | undefined): NonNullable<LedgerEntryBody["attestation"]> {
  if (proof === undefined) return "none";
  return proof.kind === "svid" ? "measured" : "platform";
}

/** What a token that is issued by this proof says of it, for whoever decides under the token; nothing where nobody vouched. */
export function attestationClaim(proof: Proof | undefined): Pick<AccessTokenClaims, "attestation"> {
  if (proof === undefined) return {};
  return { attestation: proof.kind === "svid" ? "measured" : "platform" };
}
