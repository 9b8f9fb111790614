import type { Selector } from "@countersign/sdk/model/selector";
import { DomainError } from "../../../domain/domain-error.ts";
import type { WorkloadPeer } from "../../../domain/svid-source.ts";
import type { WorkloadAttestor } from "./attestor.ts";
import { isAnotherUser } from "./credentials.ts";

/** What of a workload is told at the most; what is beyond is left out, the last attestors' first. */
export const selectorsMax = 256;

export interface WorkloadAttestationDeps {
  /** For the log: an attestor that found nothing out, and why. */
  readonly onFailed: (attestor: string, error: unknown) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * How long what was found out is believed of the same connection: who asks call after call is not read anew each time. What
 * the process becomes in this time, by executing something else under its pid, it has kept the connection for.
 */
const believedForMs = 1_000;

/**
 * Everything that the attestors find out about a process, each thing once. What one fails to find out is missing, so that
 * an entry which asks for it does not match.
 *
 * @throws DomainError `not_attested` when the process has ended by then, or is of another user: another may have its pid,
 *   and have been read
 */
export function createWorkloadAttestation(
  attestors: readonly WorkloadAttestor[],
  { onFailed, now }: WorkloadAttestationDeps,
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
  async function attest(peer: WorkloadPeer): Promise<readonly Selector[]> {
    demandSameUser(peer);
    const found = await Promise.all(attestors.map((attestor) => attestBy(attestor, peer)));
    // Whoever became another user while it was read is found out, whichever attestor read it.
    demandSameUser(peer);
    return [...new Set(found.flat())].slice(0, selectorsMax);
  }

  const believed = new WeakMap<
    WorkloadPeer,
    { readonly untilMs: number; readonly found: ReturnType<typeof attest> }
  >();
  return async (peer) => {
    const known = believed.get(peer);
    const isKnown = known !== undefined && now() < known.untilMs;
    const found = isKnown ? known.found : attest(peer);
    if (!isKnown) believed.set(peer, { untilMs: now() + believedForMs, found });
    const selectors = await found;
    if (!peer.isAlive()) throw new DomainError("not_attested", "the caller has ended");
    return selectors;
  };
}

function demandSameUser(peer: WorkloadPeer): void {
  if (isAnotherUser(peer))
    throw new DomainError("not_attested", "the caller is of another user or group than when it connected");
}
