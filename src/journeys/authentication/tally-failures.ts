import { systemLog } from "@countersign/sdk/model/ids";
import type { AppendEntry } from "../../ledger/append.ts";

/** A caller that could not prove who it is. Nothing in it may come unchecked from the caller. */
export interface AuthenticationFailure {
  /** One of a fixed set of words, for example `invalid_client`. */
  readonly reason: string;
  /** The endpoint, as a route template. */
  readonly endpoint: string;
}

export interface FailureTally {
  readonly note: (failure: AuthenticationFailure) => void;
  /** Records what was noted since the last time: one counted entry per kind of failure. */
  readonly flush: () => Promise<void>;
}

// Strangers decide how often they fail, never how many entries that makes.
const kindsMax = 32;

/**
 * Counts unauthenticated failures, so that a flood of them becomes a handful of entries in the `system` log.
 * A count that can't be recorded is kept and told with the next flush.
 */
export function createFailureTally(deps: { readonly append: AppendEntry }): FailureTally {
  let counts = new Map<string, AuthenticationFailure & { count: number }>();

  function add(failure: AuthenticationFailure, count: number): void {
    const known = `${failure.reason} ${failure.endpoint}`;
    const kind =
      counts.has(known) || counts.size < kindsMax ? failure : { reason: "other", endpoint: "other" };
    const key = `${kind.reason} ${kind.endpoint}`;
    counts.set(key, { ...kind, count: (counts.get(key)?.count ?? 0) + count });
  }

  async function flush(): Promise<void> {
    const noted = counts;
    counts = new Map();
    const recorded = await Promise.allSettled(
      [...noted.values()].map(({ reason, endpoint, count }) =>
        deps.append(systemLog, {
          entry: {
            type: "authentication.failed",
            actor: { kind: "system", id: "issuer" },
            count,
            detail: { reason, endpoint },
          },
        }),
      ),
    );
    [...noted.values()].forEach((failure, place) => {
      if (recorded[place]?.status === "rejected") add(failure, failure.count);
    });
  }

  return { note: (failure) => add(failure, 1), flush };
}
