import type { ObligationWire } from "@countersign/sdk/contract/obligation";
import { assertNever } from "../domain/assert-never.ts";
import type { Obliged } from "../domain/obligation.ts";

/** A decision's obligations as entries and answers tell them: in the order of their rules, and absent where there is none. */
export function recordedObligations(obligations: readonly Obliged[]): ObligationWire[] | undefined {
  if (obligations.length === 0) return undefined;
  return obligations.map(wireOf).sort((one, other) => (one.rule < other.rule ? -1 : 1));
}

function wireOf({ rule, ...obligation }: Obliged): ObligationWire {
  switch (obligation.kind) {
    case "step_up":
      return { kind: "step_up", rule };
    case "redact":
      return { kind: "redact", field: obligation.field, rule };
    case "rate":
      return { kind: "rate", times: obligation.times, per_seconds: obligation.perSeconds, rule };
    case "notify":
      return { kind: "notify", whom: obligation.whom, rule };
    default:
      return assertNever(obligation);
  }
}
