import type { JoinTokenId, NodeId, OrganizationId } from "@countersign/sdk/model/ids";
import type { NodeAttestation } from "../../../domain/node.ts";
import type { Write } from "../../../store/write.ts";

/** What a machine showed to be true of it. */
export interface AttestedMachine {
  /** Whose node it becomes. */
  readonly organization: OrganizationId;
  readonly attestation: NodeAttestation;
  /** Which machine: no other one can show the same. */
  readonly subject: string;
  readonly selectors: readonly string[];
  /** What the operator called it beforehand. */
  readonly name: string | undefined;
  /** The join token that is used up in the commit. */
  readonly uses?: JoinTokenId;
  /** What remembers evidence that is good once, in the same commit. */
  readonly once?: Write;
  /** The Node that it is again, as an operator said then; absent: the one as which it was attested, or another. */
  readonly again?: { readonly node: NodeId; readonly saidAtMs: number };
}

/** Judges one kind of evidence that a machine sends to become a node. */
export interface NodeAttestor<Evidence> {
  readonly kind: NodeAttestation;
  /**
   * @param publicKey SubjectPublicKeyInfo of the key that is to be certified
   * @throws DomainError `not_attested`, which tells nothing of what would be accepted; UsedBefore
   */
  attest(evidence: Evidence, publicKey: Uint8Array): Promise<AttestedMachine>;
}
