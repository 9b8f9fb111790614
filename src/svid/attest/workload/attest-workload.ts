import type { Selector } from "@countersign/sdk/model/selector";
import { DomainError } from "../../../domain/domain-error.ts";
import type { WorkloadPeer } from "../../../domain/svid-source.ts";
import type { WorkloadAttestor } from "./attestor.ts";

/** What of a workload is told at the most; what is beyond is left out, the last attestors' first. */
export const selectorsMax = 256;

export interface WorkloadAttestationDeps {
  /** For the log: an attestor that found nothing out, and why. */
  readonly onFailed: (attestor: string, error: unknown) => void;
}

/**
 * Everything that the attestors find out about a process, each thing once. What one fails to find out is missing, so that
 * an entry which asks for it does not match.
 *
 * @throws DomainError `not_attested` when the process has ended by then: another may have its pid, and have been read
 */
export function createWorkloadAttestation(
  attestors: readonly WorkloadAttestor[],
  { onFailed }: WorkloadAttestationDeps,
): (peer: WorkloadPeer) => Promise<readonly Selector[]> {
  async function attestBy(attestor: WorkloadAttestor, peer: WorkloadPeer): Promise<readonly Selector[]> {
    try {
      return await attestor.attest(peer);
    } catch (error) {
      // A process that ends while it is read is no fault of the attestor's.
      if (peer.isAlive()) onFailed(attestor.name, error);
      return [];
    }
  }
  return async (peer) => {
    const found = await Promise.all(attestors.map((attestor) => attestBy(attestor, peer)));
    if (!peer.isAlive()) throw new DomainError("not_attested", "the caller has ended");
    return [...new Set(found.flat())].slice(0, selectorsMax);
  };
}
