import { systemLog } from "@countersign/sdk/model/ids";
import type { CountRefusal } from "../record/refusals.ts";

/** A caller that could not prove who it is. Nothing in it may come unchecked from the caller. */
export interface AuthenticationFailure {
  /** One of a fixed set of words, for example `invalid_client`. */
  readonly reason: string;
  /** One of a fixed set of paths or their beginnings: `/token`, `/v1`. */
  readonly endpoint: string;
}

/**
 * Counts an unauthenticated failure for the `system` log: strangers decide how often they fail, never how many entries
 * that makes.
 */
export function countFailure(
  deps: { readonly countRefusal: CountRefusal },
  { reason, endpoint }: AuthenticationFailure,
): void {
  deps.countRefusal({
    key: `authentication ${reason} ${endpoint}`,
    log: systemLog,
    entry: {
      type: "authentication.failed",
      actor: { kind: "system", id: "issuer" },
      detail: { reason, endpoint },
    },
    writes: [],
  });
}
