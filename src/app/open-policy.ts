import { logOf } from "@countersign/sdk/model/ids";
import type { Decision, DecisionRequest } from "../domain/decision.ts";
import { decide } from "../policy/decide.ts";
import { readShippedPolicy } from "../policy/policy-files.ts";
import { loadPolicy, type PolicySnapshot } from "../policy/snapshot.ts";
import { withInstallationLock } from "../store/installation.ts";
import { findPolicyInForce } from "../store/ledger-evidence.ts";
import type { OpenLedger } from "./open-ledger.ts";

export type OpenPolicyDeps = Pick<OpenLedger, "db" | "sequencer" | "organization">;

/** The policy that this process decides by. */
export interface OpenPolicy {
  /** The version in force now; another may follow it, and this one stays as it is. */
  readonly currentPolicy: () => PolicySnapshot;
  readonly decide: (request: DecisionRequest) => Decision;
}

/**
 * Loads the policy that this version ships, and records it unless it is the one that was recorded last: the log tells
 * of every change, a return to an earlier policy too, and every decision's policy can be read again.
 *
 * @throws PolicyRefused; DomainError as AppendEntry does
 */
export async function openPolicy(deps: OpenPolicyDeps, issuer: string): Promise<OpenPolicy> {
  const snapshot = await loadPolicy({ ...(await readShippedPolicy()), issuer });
  // Of several processes that start at once with one policy, one records it.
  await withInstallationLock(deps.db, () => recordPolicy(deps, snapshot));
  const currentPolicy = () => snapshot;
  return { currentPolicy, decide: (request) => decide(currentPolicy(), request) };
}

async function recordPolicy(
  { db, sequencer, organization }: OpenPolicyDeps,
  { hash, text }: PolicySnapshot,
): Promise<void> {
  if ((await findPolicyInForce(db, organization)) === hash) return;
  const at = new Date();
  await sequencer.append(logOf(organization), {
    entry: {
      type: "policy.applied",
      organization,
      actor: { kind: "system", id: "installation" },
      detail: { policy: hash },
    },
    writes: [
      { into: "policy_version", row: { hash, text, created_at: at } },
      { into: "policy_applied", row: { organization_id: organization, hash, applied_at: at } },
    ],
  });
}
