import {
  type AgentId,
  newId,
  type OrganizationId,
  type SubjectMappingId,
  type UserId,
} from "@countersign/sdk/model/ids";
import type { MappedTo, SubjectMapping, TrustedIssuer } from "../../domain/trusted-issuer.ts";
import { active } from "../record/conditions.ts";
import type { NewSubjectProof } from "../record/proof.ts";
import { type CreateDeps, type RequestContext, recordUnlessTaken, refuse } from "../record/record.ts";
import { assertionTrail, unmapped } from "./unmapped.ts";

export interface ProvisionDeps extends CreateDeps {
  /** These are not cached reads. */
  readonly findSubjectMapping: (
    organization: OrganizationId,
    id: SubjectMappingId,
  ) => Promise<SubjectMapping | undefined>;
  readonly listMappingsOf: (
    trust: Pick<TrustedIssuer, "id" | "organization">,
    subject: string,
  ) => Promise<readonly SubjectMapping[]>;
}

/**
 * A subject that was never seen, whose assertion was verified and whose sender proved to hold the key of what it asks
 * for.
 */
export interface NewSubject {
  readonly organization: OrganizationId;
  /** The id that the Agent is to have, unless somebody else meets the subject first. */
  readonly agent: AgentId;
  readonly proof: NewSubjectProof;
  readonly context: RequestContext;
}

/** Which Agent a subject is, and by which mapping. */
export interface Provisioned {
  readonly agent: AgentId;
  readonly mapping: SubjectMappingId;
  readonly rule: SubjectMappingId;
}

/**
 * Makes an Agent of a subject that was never seen, by the rule that says so, together with the mapping by which it is
 * known from now on, as long as the rule stands and by the claims that it demands: with an owner, and with no authority
 * that nobody gave it. However many ask at once, it is one Agent.
 *
 * @throws DomainError `unauthenticated` when the rule is gone, or no longer fits alone; `ledger_unavailable`
 */
export async function provisionAgent(deps: ProvisionDeps, asked: NewSubject): Promise<Provisioned> {
  const { organization, proof, context } = asked;
  const trail = assertionTrail({ id: proof.trustedIssuer, organization }, context);
  const rule = await deps.findSubjectMapping(organization, proof.rule);
  if (rule === undefined || !("owner" in rule.to))
    throw await refuse(deps, "token.refused", trail, proof.trustedIssuer, unmapped("unauthenticated"));
  const made = await provision(deps, asked, { rule, ...rule.to });
  if (made !== "taken") return made;
  // Somebody else met the subject first.
  const mappings = await deps.listMappingsOf({ id: proof.trustedIssuer, organization }, proof.subject);
  const first = mappings.find(
    ({ subject, provisionedBy }) => subject === proof.subject && provisionedBy === rule.id,
  );
  if (first !== undefined && "agent" in first.to)
    return { agent: first.to.agent, mapping: first.id, rule: rule.id };
  throw await refuse(deps, "token.refused", trail, proof.trustedIssuer, unmapped("unauthenticated"));
}

const nameCharsMax = 200;
const subjectIndex = "subject_mapping_by_subject";

type Rule = Extract<MappedTo, { owner: UserId }> & { readonly rule: SubjectMapping };

async function provision(
  deps: ProvisionDeps,
  { organization, agent, proof, context }: NewSubject,
  { rule, owner, kind, namePrefix }: Rule,
): Promise<Provisioned | "taken"> {
  const { trustedIssuer, subject } = proof;
  const nowMs = deps.now();
  const at = new Date(nowMs);
  const mapping = newId("mapping", nowMs, deps.randomBytes(16));
  const shared = { organization_id: organization, owner_id: owner };
  const name = `${namePrefix}${subject}`.slice(0, nameCharsMax).toWellFormed();
  const done = await recordUnlessTaken(
    deps,
    {
      type: "agent.created",
      refusedAs: "token.refused",
      trail: { ...assertionTrail({ id: trustedIssuer, organization }, context), owner },
      outcome: {
        target: { kind: "agent", id: agent },
        detail: { kind, trusted_issuer: trustedIssuer, mapping, rule: rule.id },
      },
      writes: [
        {
          into: "agent",
          row: {
            ...shared,
            id: agent,
            name,
            kind,
            status: "active",
            expires_at: null,
            trusted_issuer_id: trustedIssuer,
            created_at: at,
          },
        },
        { into: "agent_owner", row: { ...shared, agent_id: agent } },
        {
          into: "subject_mapping",
          row: {
            id: mapping,
            organization_id: organization,
            trusted_issuer_id: trustedIssuer,
            subject,
            claims: rule.claims,
            agent_id: agent,
            owner_id: null,
            agent_kind: null,
            name_prefix: null,
            user_id: null,
            provisioned_by: rule.id,
            status: "active",
            created_at: at,
          },
        },
      ],
      conditions: [active("user", owner), { on: "agent_quota", id: trustedIssuer }],
      proven: [active("trusted_issuer", trustedIssuer), active("subject_mapping", rule.id)],
      demands: undefined,
    },
    [subjectIndex],
  );
  return done === "taken" ? "taken" : { agent, mapping, rule: rule.id };
}
