import { logOf } from "@countersign/sdk/model/ids";
import type { DecisionRequest, Verdict } from "../domain/decision.ts";
import { decide } from "../policy/decide.ts";
import { readShippedPolicy } from "../policy/policy-files.ts";
import { loadPolicy } from "../policy/snapshot.ts";
import { readPolicyTexts } from "../store/ledger-evidence.ts";
import type { OpenLedger } from "./open-ledger.ts";

/**
 * Loads the policy that this version ships, and records it where it was not in force before, so that every decision's
 * policy can be read again.
 *
 * @throws PolicyRefused
 */
export async function openPolicy(
  { db, sequencer, organization }: OpenLedger,
  issuer: string,
): Promise<(request: DecisionRequest) => Verdict> {
  const snapshot = await loadPolicy({ ...(await readShippedPolicy()), issuer });
  const { hash, text } = snapshot;
  if (!(await readPolicyTexts(db, [hash])).has(hash)) {
    await sequencer.append(logOf(organization), {
      entry: {
        type: "policy.applied",
        organization,
        actor: { kind: "system", id: "installation" },
        detail: { policy: hash },
      },
      writes: [{ into: "policy_version", row: { hash, text, created_at: new Date() } }],
    });
  }
  return (request) => decide(snapshot, request);
}
