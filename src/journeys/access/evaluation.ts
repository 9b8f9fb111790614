import type { DelegationId } from "@countersign/sdk/model/ids";
import type { Decision } from "../../domain/decision.ts";
import type { Obliged } from "../../domain/obligation.ts";

/** The answer to a question, and why. */
export interface Evaluation {
  readonly allowed: boolean;
  readonly reason: string;
  /** What denies it, or would allow it once somebody approved; absent where it is allowed. */
  readonly effect?: "deny" | "needs_approval";
  /** Of the policy, where it was asked. */
  readonly rule?: string;
  readonly policy?: string;
  readonly obligations: readonly Obliged[];
  /** By which it may be done, or the first that does not suffice. */
  readonly delegation?: DelegationId;
}

/** What the policy decided, as an answer. */
export function evaluationOf({ effect, rule, reason, policy, obligations }: Decision): Evaluation {
  return {
    allowed: effect === "allow",
    ...(effect !== "allow" && { effect }),
    rule,
    reason,
    policy,
    obligations,
  };
}
