import { logOf, type OrganizationId } from "@countersign/sdk/model/ids";
import type { Decision, DecisionRequest } from "../domain/decision.ts";
import { ValueTaken } from "../domain/domain-error.ts";
import { nextIndex, writesOf } from "../journeys/policy/apply.ts";
import { decide } from "../policy/decide.ts";
import { readShippedPolicy } from "../policy/policy-files.ts";
import {
  loadPolicy,
  loadRecordedPolicy,
  type PolicySnapshot,
  type WrittenPolicy,
} from "../policy/snapshot.ts";
import { withInstallationLock } from "../store/installation.ts";
import { type KeptUp, keepUp } from "../store/keep-up.ts";
import { readPolicyTexts } from "../store/ledger-evidence.ts";
import { findAppliedPolicy, readPoliciesInForce } from "../store/policies.ts";
import type { OpenLedger } from "./open-ledger.ts";

export interface OpenPolicyDeps extends Pick<OpenLedger, "db" | "sequencer" | "organization"> {
  /** Told when the policies could not be read again; those that are known stay in force here. */
  readonly onReloadFailed: (error: unknown) => void;
}

/** The policies that this process decides by. */
export interface OpenPolicy extends KeptUp {
  /** The version in force in an organization now; another may follow it, and this one stays as it is. */
  readonly currentPolicy: (organization: OrganizationId) => PolicySnapshot;
  readonly decide: (request: DecisionRequest) => Decision;
  /** Makes a snapshot of these lines, under the model and the issuer of this server. @throws PolicyRefused */
  readonly loadPolicy: (source: string) => Promise<WrittenPolicy>;
}

/**
 * Loads each organization's policy in force, and keeps up with them. Of the first organization the one that this version
 * ships comes into force where no operator ever applied another, and where it is not the one that was recorded last: the log
 * tells of every change, a return to an earlier policy too, and every decision's policy can be read again.
 *
 * @throws PolicyRefused; DomainError as AppendEntry does
 */
export async function openPolicy(deps: OpenPolicyDeps, issuer: string): Promise<OpenPolicy> {
  const { db, onReloadFailed } = deps;
  const shipped = await readShippedPolicy();
  const load = (policy: string) => loadPolicy({ model: shipped.model, policy, issuer });
  const fallback = await load(shipped.policy);
  // Of several processes that start at once with one policy, one records it.
  await withInstallationLock(db, () => recordShipped(deps, fallback, shipped.policy));
  let snapshots: ReadonlyMap<OrganizationId, PolicySnapshot> = new Map();

  async function read(): Promise<void> {
    const inForce = await readPoliciesInForce(db);
    const known = new Map([fallback, ...snapshots.values()].map((snapshot) => [snapshot.hash, snapshot]));
    const unknown = [...inForce.values()].map(({ hash }) => hash).filter((hash) => !known.has(hash));
    for (const text of (await readPolicyTexts(db, unknown)).values()) {
      const snapshot = await loadRecordedPolicy(text);
      known.set(snapshot.hash, snapshot);
    }
    // All of them, or none: a version that can't be read leaves every organization with what it has.
    snapshots = new Map(
      [...inForce].map(([organization, { hash }]) => {
        const snapshot = known.get(hash);
        if (snapshot === undefined) throw new Error(`the policy ${hash} is not there`);
        return [organization, snapshot];
      }),
    );
  }

  await read();
  const keptUp = await keepUp({ db, read, onReloadFailed }, ["policy_applied"]);
  const currentPolicy = (organization: OrganizationId) => snapshots.get(organization) ?? fallback;
  return {
    ...keptUp,
    currentPolicy,
    decide: (request) => decide(currentPolicy(request.organization), request),
    loadPolicy: load,
  };
}

async function recordShipped(
  { db, sequencer, organization }: OpenPolicyDeps,
  snapshot: WrittenPolicy,
  source: string,
): Promise<void> {
  const { hash } = snapshot;
  const last = await findAppliedPolicy(db, organization, "current");
  if (last?.hash === hash || last?.appliedBy !== undefined) return;
  const version = {
    organization,
    number: (last?.number ?? 0) + 1,
    hash,
    source,
    appliedBy: undefined,
    signature: undefined,
    appliedAtMs: Date.now(),
    twoPerson: snapshot.marks.includes("two-person"),
    approval: undefined,
  };
  const entry = {
    type: "policy.applied",
    organization,
    actor: { kind: "system", id: "installation" },
    detail: { policy: hash },
  } as const;
  try {
    await sequencer.append(logOf(organization), { entry, writes: writesOf(version, snapshot) });
  } catch (error) {
    // By a process that runs already an operator applied the first one meanwhile: it stays.
    if (!(error instanceof ValueTaken) || error.index !== nextIndex) throw error;
  }
}
