import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { lockOutOf, strangersIn } from "../../policy/fitness.ts";
import { PolicyRefused, type WrittenPolicy } from "../../policy/snapshot.ts";
import { plainRefusal, type Refusal } from "../record/refusal.ts";

export interface FitPolicyDeps {
  readonly issuer: string;
  /** @throws PolicyRefused */
  readonly loadPolicy: (source: string) => Promise<WrittenPolicy>;
}

/** The policy that these lines are, or why it can't be in force. */
export async function fitPolicy(
  { loadPolicy, issuer }: FitPolicyDeps,
  operator: Extract<Principal, { kind: "operator" }>,
  source: string,
): Promise<WrittenPolicy | Refusal> {
  try {
    const snapshot = await loadPolicy(source);
    const fault = strangersIn(snapshot, operator.organization) ?? lockOutOf(snapshot, operator, issuer);
    return fault === undefined ? snapshot : plainRefusal("policy_refused", fault);
  } catch (error) {
    if (error instanceof PolicyRefused) return plainRefusal("policy_refused", error.message);
    throw error;
  }
}
