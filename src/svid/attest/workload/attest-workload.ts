import type { Selector } from "@countersign/sdk/model/selector";
import { boundedAs } from "../../../domain/bounded-as.ts";
import { DomainError } from "../../../domain/domain-error.ts";
import { type CostlyKind, costlyKinds } from "../../../domain/entry-index.ts";
import { createRateLimit } from "../../../domain/rate-limit.ts";
import type { AttestWorkload, WorkloadPeer } from "../../../domain/svid-source.ts";
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
/** How often processes of one user, in one container where that is told, are read: the connections that it may have, twice over, and as many in a second. */
const readings = { burst: 256, perSecond: 128, partiesMax: 10_000 } as const;

type Wanted = ReadonlySet<CostlyKind>;

interface Believed {
  readonly untilMs: number;
  /** How many costly kinds were wanted: they never become fewer. */
  readonly kinds: number;
  readonly found: Promise<readonly Selector[]>;
}

/**
 * Everything that the attestors find out about a process, each thing once. What one fails to find out is missing, so that
 * an entry which asks for it does not match.
 *
 * @throws DomainError `not_attested` when the process has ended by then, or is of another user: another may have its pid,
 *   and have been read; `too_many_requests` when processes of its user were read too often
 */
export function createWorkloadAttestation(
  attestors: readonly WorkloadAttestor[],
  { onFailed, now }: WorkloadAttestationDeps,
): AttestWorkload {
  const readingsOf = createRateLimit({ ...readings, now });
  const believed = new WeakMap<WorkloadPeer, Believed>();

  async function attest(peer: WorkloadPeer, wanted: Wanted): Promise<readonly Selector[]> {
    demandSameUser(peer);
    const found = await Promise.all(
      attestors.map(async (attestor) => {
        try {
          return await attestor.attest(peer, wanted);
        } catch (error) {
          // A process that ends while it is read is no fault of the attestor's.
          if (peer.isAlive()) onFailed(attestor.name, error);
          return [];
        }
      }),
    );
    // Whoever became another user while it was read is found out, whichever attestor read it.
    demandSameUser(peer);
    return [...new Set(found.flat())].slice(0, selectorsMax);
  }

  function find(peer: WorkloadPeer, wanted: Wanted): Believed["found"] {
    const known = believed.get(peer);
    if (known !== undefined && now() < known.untilMs && known.kinds === wanted.size) return known.found;
    if (!readingsOf.take(boundedAs(peer)))
      throw new DomainError("too_many_requests", "processes of this user are read too often: wait a second");
    const found = attest(peer, wanted);
    believed.set(peer, { untilMs: now() + believedForMs, kinds: wanted.size, found });
    return found;
  }

  return async (peer, wanted = new Set(costlyKinds)) => {
    const selectors = await find(peer, wanted);
    if (!peer.isAlive()) throw new DomainError("not_attested", "the caller has ended");
    return selectors;
  };
}

function demandSameUser(peer: WorkloadPeer): void {
  if (isAnotherUser(peer))
    throw new DomainError("not_attested", "the caller is of another user or group than when it connected");
}
