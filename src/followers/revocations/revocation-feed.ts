import type { RevocationEvent } from "@countersign/sdk/contract/revocations";
import { type AgentId, type LogId, logOf, type OrganizationId } from "@countersign/sdk/model/ids";
import type { ReachedDelegation, ReachPlace, Revocation } from "../../domain/revocation.ts";
import { createSharedReads } from "./shared-reads.ts";

export interface RevocationFeedDeps {
  /** How many entries the published checkpoint of an organization's log covers. */
  readonly publishedSize: (organization: OrganizationId) => Promise<number>;
  /** Revocations above an index, as far as the published checkpoint covers them. */
  readonly listRevocations: (
    organization: OrganizationId,
    page: { readonly after: number; readonly limit: number },
  ) => Promise<readonly Revocation[]>;
  readonly listReach: (
    revocation: Revocation,
    page: { readonly after: ReachPlace | undefined; readonly limit: number },
  ) => Promise<readonly ReachedDelegation[]>;
  readonly listStoppedAgents: (
    revocation: Revocation,
    page: { readonly after: AgentId | undefined; readonly limit: number },
  ) => Promise<readonly AgentId[]>;
}

/** The revocations of each organization, for any number of streams. */
export interface RevocationFeed {
  /** The last index that the published checkpoint covers: where a stream begins that shall tell what is to come. */
  readonly headOf: (organization: OrganizationId) => Promise<number>;
  /** Every revocation above an index, in order and without a gap, then each new one; ends when the signal says so. */
  readonly follow: (
    organization: OrganizationId,
    after: number,
    signal: AbortSignal,
  ) => AsyncGenerator<RevocationEvent, void>;
  /** A checkpoint of this log was published; of any, where none is named. */
  readonly wake: (log?: LogId) => void;
}

/** An organization that somebody follows. */
interface Watch {
  followers: number;
  /** Moves with each publication: what was read before the move may be out of date. */
  generation: number;
  waiting: (() => void)[];
}

const revocationsAtOnce = 100;
const idsAtOnce = 500;
const sharedReadsMax = 64;

/**
 * Makes the feed of this process. Streams that stand at the same place share one read, so a publication costs one
 * reading of the table however many follow. Each stream is given an event when it asks for it, so what
 * waits for a slow one is in the database and not in memory.
 */
export function createRevocationFeed(deps: RevocationFeedDeps): RevocationFeed {
  const watched = new Map<OrganizationId, Watch>();
  const revocations = createSharedReads<readonly Revocation[]>(sharedReadsMax);
  const reach = createSharedReads<readonly ReachedDelegation[]>(sharedReadsMax);
  const stopped = createSharedReads<readonly AgentId[]>(sharedReadsMax);

  async function* follow(
    organization: OrganizationId,
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<RevocationEvent, void> {
    const watch = watched.get(organization) ?? { followers: 0, generation: 0, waiting: [] };
    watched.set(organization, watch);
    watch.followers++;
    try {
      for (let last = after; !signal.aborted; ) {
        const { generation } = watch;
        const found = await revocations(`${organization} ${generation} ${last}`, () =>
          deps.listRevocations(organization, { after: last, limit: revocationsAtOnce }),
        );
        for (const revocation of found) {
          yield* partsOf(revocation);
          last = revocation.index;
        }
        if (found.length === 0) await moved(watch, generation, signal);
      }
    } finally {
      if (--watch.followers === 0) watched.delete(organization);
    }
  }

  /** The agents that were stopped come first; what is left of them shares its part with the first delegations. */
  async function* partsOf(revocation: Revocation): AsyncGenerator<RevocationEvent, void> {
    const { organization, index, kind, id, revokedAtMs } = revocation;
    const told = { index, kind, id, revoked_at: new Date(revokedAtMs).toISOString() };
    const limit = idsAtOnce;
    let part = 1;
    let agents = await stopped(`${organization} ${index}`, () =>
      deps.listStoppedAgents(revocation, { after: undefined, limit }),
    );
    for (; agents.length === limit; part++) {
      yield { ...told, part, last: false, delegations: [], agents: [...agents] };
      const after = agents.at(-1);
      agents = await stopped(`${organization} ${index} ${after}`, () =>
        deps.listStoppedAgents(revocation, { after, limit }),
      );
    }
    let after: ReachPlace | undefined;
    for (let last = false; !last; part++) {
      const page = { after, limit };
      const reached = await reach(`${organization} ${index} ${after?.id}`, () =>
        deps.listReach(revocation, page),
      );
      after = reached.at(-1);
      last = reached.length < limit;
      yield { ...told, part, last, delegations: reached.map((one) => one.id), agents: [...agents] };
      agents = [];
    }
  }

  function wake(log?: LogId): void {
    for (const [organization, watch] of watched) {
      if (log !== undefined && logOf(organization) !== log) continue;
      watch.generation++;
      for (const resume of watch.waiting.splice(0)) resume();
    }
  }

  const headOf = async (organization: OrganizationId) => (await deps.publishedSize(organization)) - 1;
  return { headOf, follow, wake };
}

/** Resolves when the generation is another, or nobody waits any more. */
function moved(watch: Watch, generation: number, signal: AbortSignal): Promise<void> {
  if (watch.generation !== generation || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const resume = () => {
      signal.removeEventListener("abort", resume);
      resolve();
    };
    signal.addEventListener("abort", resume, { once: true });
    watch.waiting.push(resume);
  });
}
