import type { AdminJourneys, ChangeOfAuthority } from "../http/admin-deps.ts";
import type { Metrics } from "../http/metrics.ts";
import type { AuthorityDeps } from "../journeys/keys/authorities.ts";
import { rotateKeys } from "../journeys/keys/rotate.ts";
import { taintAuthority, withdrawAuthority } from "../journeys/keys/taint.ts";

type RotateKeysCall = Parameters<AdminJourneys["rotateKeys"]>[0];

/** The journeys of signing keys and authorities, each as a function of its request alone. */
export function keyJourneys(authorities: AuthorityDeps, timed: Metrics["timed"]) {
  return {
    rotateKeys: timed("keys.rotate", ({ caller: { kind, id }, context, purpose }: RotateKeysCall) =>
      rotateKeys(authorities, {
        by: { kind, id },
        context,
        ...(purpose !== undefined && { purpose }),
      }),
    ),
    taintAuthority: timed("keys.taint", ({ caller: { kind, id: byId }, context, id }: ChangeOfAuthority) =>
      taintAuthority(authorities, { by: { kind, id: byId }, context, id }),
    ),
    withdrawAuthority: timed(
      "keys.withdraw",
      ({ caller: { kind, id: byId }, context, id }: ChangeOfAuthority) =>
        withdrawAuthority(authorities, { by: { kind, id: byId }, context, id }),
    ),
  };
}
