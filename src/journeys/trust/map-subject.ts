import {
  type AgentId,
  newId,
  type OrganizationId,
  type TrustedIssuerId,
  type UserId,
} from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { Agent } from "../../domain/agent.ts";
import type {
  MappedTo,
  SubjectMapping,
  TrustedIssuer,
  TrustedIssuerKind,
} from "../../domain/trusted-issuer.ts";
import type { User } from "../../domain/user.ts";
import { active, callerConditions } from "../record/conditions.ts";
import {
  type CreateDeps,
  demandOperator,
  type Recorded,
  type RequestContext,
  record,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal, type Refusal } from "../record/refusal.ts";

export interface MapSubjectDeps extends CreateDeps {
  readonly findTrustedIssuer: (
    organization: OrganizationId,
    id: TrustedIssuerId,
  ) => Promise<TrustedIssuer | undefined>;
  readonly findAgent: (organization: OrganizationId, id: AgentId) => Promise<Agent | undefined>;
  readonly findUser: (organization: OrganizationId, id: UserId) => Promise<User | undefined>;
}

export interface MapSubjectRequest {
  /** An operator. */
  readonly caller: Principal;
  readonly issuer: TrustedIssuerId;
  readonly subject?: string | undefined;
  /** What claims must say, by name. */
  readonly claims: Readonly<Record<string, string>>;
  readonly to: MappedTo;
  readonly context: RequestContext;
}

/**
 * Maps a subject of a trusted issuer, or all whose claims say so, to an Agent; or makes it a rule that each of them becomes an
 * Agent of its own, with this owner, when it is first seen. A subject of an identity provider is mapped to a User.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `not_found` for an issuer, Agent or owner that is not
 *   there, `invalid_request` for what would make one Agent of everybody, for a rule of one subject, and for a person where
 *   the issuer speaks of workloads, or the other way round; `conflict` for what is mapped already, `subject_not_active`,
 *   `ledger_unavailable`
 */
export async function mapSubject(
  deps: MapSubjectDeps,
  { caller, issuer, subject, claims: asked, to, context }: MapSubjectRequest,
): Promise<Recorded<SubjectMapping>> {
  const { organization } = caller;
  const trail: Trail = { ...trailOf(caller, context), action: "subject.map" };
  await demandOperator(deps, "mutation.refused", caller, trail);
  const claims = Object.entries(asked)
    .map(([name, value]) => `${name}=${value}`)
    .sort();
  const fault = boundsFault(subject, claims, to) ?? (await partyFault(deps, organization, issuer, to));
  if (fault !== undefined) throw await refuse(deps, "mutation.refused", trail, fault.reason, fault);

  const nowMs = deps.now();
  const id = newId("mapping", nowMs, deps.randomBytes(16));
  const isRule = "owner" in to;
  const party = partyOf(to);
  const row = {
    id,
    organization_id: organization,
    trusted_issuer_id: issuer,
    subject: subject ?? null,
    claims,
    agent_id: "agent" in to ? to.agent : null,
    owner_id: isRule ? to.owner : null,
    agent_kind: isRule ? to.kind : null,
    name_prefix: isRule ? to.namePrefix : null,
    user_id: "user" in to ? to.user : null,
    provisioned_by: null,
    status: "active",
    created_at: new Date(nowMs),
  } as const;
  const ledger = await record(deps, {
    type: "subject.mapped",
    refusedAs: "mutation.refused",
    trail: { ...trail, ...(isRule && { owner: to.owner }) },
    outcome: {
      ...(isRule ? {} : { target: party }),
      // Who the subject is stays in the row: it may be a person's name.
      detail: { trusted_issuer: issuer, mapping: id, claims: claims.length, exact: subject !== undefined },
    },
    writes: [{ into: "subject_mapping", row }],
    conditions: [...callerConditions(caller), active("trusted_issuer", issuer), active(party.kind, party.id)],
    demands: context.demands,
  });
  const made = { id, organization, issuer, subject, claims, to, provisionedBy: undefined } as const;
  return { ...made, status: "active", createdAtMs: nowMs, ledger };
}

/** Who has to be active. */
function partyOf(to: MappedTo) {
  if ("agent" in to) return { kind: "agent", id: to.agent } as const;
  return { kind: "user", id: "user" in to ? to.user : to.owner } as const;
}

function boundsFault(
  subject: string | undefined,
  claims: readonly string[],
  to: MappedTo,
): Refusal | undefined {
  if ("user" in to) return subject !== undefined && claims.length === 0 ? undefined : onePerson;
  if ("owner" in to) return subject === undefined ? undefined : ruleOfOne;
  return subject === undefined && claims.length === 0 ? everybody : undefined;
}

async function partyFault(
  deps: MapSubjectDeps,
  organization: OrganizationId,
  issuer: TrustedIssuerId,
  to: MappedTo,
): Promise<Refusal | undefined> {
  const trust = await deps.findTrustedIssuer(organization, issuer);
  if (trust === undefined) return noIssuer;
  if (("user" in to ? "id_jag" : "workload") !== trust.kind) return ofAnotherKind[trust.kind];
  if ("agent" in to) return (await deps.findAgent(organization, to.agent)) ? undefined : noAgent;
  const user = await deps.findUser(organization, "user" in to ? to.user : to.owner);
  return user ? undefined : noUser;
}

const everybody = plainRefusal(
  "invalid_request",
  "an agent is one subject, or those whose claims say so: name the subject or a claim",
);
const ruleOfOne = plainRefusal(
  "invalid_request",
  "a rule that makes agents names no subject: map the subject to an agent instead",
);
const noIssuer = plainRefusal("not_found", "there is no such issuer");
const noAgent = plainRefusal("not_found", "there is no such agent");
const noUser = plainRefusal("not_found", "there is no such user");
const onePerson = plainRefusal("invalid_request", "a user is one subject, and no claims: name the subject");
const ofAnotherKind: Readonly<Record<TrustedIssuerKind, Refusal>> = {
  workload: plainRefusal("invalid_request", "this issuer speaks of workloads: map its subjects to agents"),
  id_jag: plainRefusal("invalid_request", "this issuer speaks of people: map its subjects to users"),
};
