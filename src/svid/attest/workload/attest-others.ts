import { setTimeout as wait } from "node:timers/promises";
import { DomainError } from "../../../domain/domain-error.ts";
import type { KubeletPlace } from "../../../domain/kubelet.ts";
import type { AttestWorkload } from "../../../domain/svid-source.ts";
import { createAgentChecksumAttestor } from "./agent-checksum.ts";
import { createWorkloadAttestation, type WorkloadAttestationDeps } from "./attest-workload.ts";
import { readCgroups } from "./cgroups.ts";
import { createK8sAttestor } from "./k8s.ts";
import { createSystemdAttestor } from "./systemd.ts";
import { createUnixAttestor } from "./unix.ts";

export interface OthersAttestation {
  /** Whether processes of our own account get SVIDs: they could read our keys. */
  readonly attestOwnUid: boolean;
  /** Where a workload's manifest lies, see createAgentChecksumAttestor; undefined: no configuration is measured. */
  readonly measure: string | undefined;
  /** Who is asked which pod a workload is in; undefined: nobody. */
  readonly kubelet: KubeletPlace | undefined;
  /** What a process of our own account is told: why it gets none, and what to do. */
  readonly advice: string;
}

/**
 * Attests every process but those of our own account: they can read our keys, so that no SVID would say anything of them.
 *
 * @returns what throws DomainError `not_attested`
 */
export function attestsOthers(
  deps: WorkloadAttestationDeps,
  { attestOwnUid, measure, kubelet, advice }: OthersAttestation,
): AttestWorkload {
  const ownUid = process.getuid?.();
  const attestors = [
    // First: what a workload has much of pushes nothing of it out.
    ...(measure === undefined ? [] : [createAgentChecksumAttestor({ ownUid: ownUid ?? 0 }, measure)]),
    ...(kubelet === undefined ? [] : [createK8sAttestor({ now: deps.now, wait, readCgroups }, kubelet)]),
    createUnixAttestor({ now: deps.now }),
    createSystemdAttestor(),
  ];
  const attest = createWorkloadAttestation(attestors, deps);
  return async (peer, wanted) => {
    if (peer.uid === ownUid && !attestOwnUid) throw new DomainError("not_attested", advice);
    return attest(peer, wanted);
  };
}
