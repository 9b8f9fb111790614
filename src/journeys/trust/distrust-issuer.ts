import type { OrganizationId, SubjectMappingId, TrustedIssuerId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import {
  distrusting,
  type SubjectMapping,
  type TrustedIssuer,
  unmapping,
} from "../../domain/trusted-issuer.ts";
import { callerConditions } from "../record/conditions.ts";
import {
  demandFound,
  demandOperator,
  type RecordDeps,
  type Recorded,
  type RequestContext,
  record,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";

export interface DistrustDeps extends RecordDeps {
  readonly findTrustedIssuer: (
    organization: OrganizationId,
    id: TrustedIssuerId,
  ) => Promise<TrustedIssuer | undefined>;
  readonly findSubjectMapping: (
    organization: OrganizationId,
    id: SubjectMappingId,
  ) => Promise<SubjectMapping | undefined>;
}

export interface DistrustRequest {
  /** An operator. */
  readonly caller: Principal;
  readonly issuer: TrustedIssuerId;
  readonly context: RequestContext;
}

/**
 * Ends trust in an issuer, at once and for good: nothing is issued by its word any more, not even to who was let in before.
 * Tokens that were issued live on for their five minutes, as far as their agents do.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `not_found`, `conflict` when it has ended already,
 *   `ledger_unavailable`
 */
export async function distrustIssuer(
  deps: DistrustDeps,
  { caller, issuer: id, context }: DistrustRequest,
): Promise<Recorded<TrustedIssuer>> {
  const trail: Trail = { ...trailOf(caller, context), action: "issuer.distrust" };
  await demandOperator(deps, "mutation.refused", caller, trail);
  const issuer = await demandFound(
    deps,
    trail,
    await deps.findTrustedIssuer(caller.organization, id),
    noIssuer,
  );
  const { from, to, entryType } = distrusting;
  if (issuer.status !== "active") {
    const refusal = plainRefusal("conflict", `the issuer is ${issuer.status}`);
    throw await refuse(deps, "mutation.refused", trail, id, refusal);
  }
  const ledger = await record(deps, {
    type: entryType,
    refusedAs: "mutation.refused",
    trail,
    outcome: { detail: { trusted_issuer: id, from: issuer.status, to } },
    writes: [{ set: "trusted_issuer", id, from, to }],
    conditions: callerConditions(caller),
    demands: context.demands,
  });
  return { ...issuer, status: to, ledger };
}

export interface UnmapRequest extends DistrustRequest {
  readonly mapping: SubjectMappingId;
}

export interface UnmapDeps extends DistrustDeps {
  /** How many Agents that are not retired a rule lets in. */
  readonly countProvisioned: (organization: OrganizationId, rule: SubjectMappingId) => Promise<number>;
}

export type Unmapped = Recorded<SubjectMapping> & {
  /** Of a rule: how many Agents, made by it, it let in until now. */
  readonly agentsCutOff: number | undefined;
};

/**
 * Ends a mapping, at once, and with a rule the mappings that were made by it. A subject that fell under it is judged by the
 * mappings that are left: by a rule it may become a new Agent.
 *
 * @throws DomainError as `distrustIssuer` does
 */
export async function unmapSubject(
  deps: UnmapDeps,
  { caller, issuer, mapping: id, context }: UnmapRequest,
): Promise<Unmapped> {
  const trail: Trail = { ...trailOf(caller, context), action: "subject.unmap" };
  await demandOperator(deps, "mutation.refused", caller, trail);
  const mapping = await deps.findSubjectMapping(caller.organization, id);
  if (mapping === undefined || mapping.issuer !== issuer)
    throw await refuse(deps, "mutation.refused", trail, "unknown", noMapping);
  const { from, to, entryType } = unmapping;
  if (mapping.status !== "active") {
    const refusal = plainRefusal("conflict", `the mapping is ${mapping.status}`);
    throw await refuse(deps, "mutation.refused", trail, id, refusal);
  }
  const agentsCutOff =
    "owner" in mapping.to ? await deps.countProvisioned(caller.organization, id) : undefined;
  const ledger = await record(deps, {
    type: entryType,
    refusedAs: "mutation.refused",
    trail,
    outcome: { detail: { trusted_issuer: issuer, mapping: id, from: mapping.status, to } },
    writes: [{ set: "subject_mapping", id, from, to }],
    conditions: callerConditions(caller),
    demands: context.demands,
  });
  return { ...mapping, status: to, agentsCutOff, ledger };
}

const noIssuer = plainRefusal("not_found", "there is no such issuer");
const noMapping = plainRefusal("not_found", "there is no such mapping");
