import { type AgentId, newId, type TrustedIssuerId, type UserId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import {
  checksumIn,
  type MappedTo,
  mappingFor,
  type SubjectMapping,
  type TrustedIssuer,
} from "../../domain/trusted-issuer.ts";
import type { Condition } from "../../store/write.ts";
import { active } from "../record/conditions.ts";
import {
  type CreateDeps,
  type RequestContext,
  recordUnlessTaken,
  refuse,
  requestOf,
  type Trail,
} from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";
import { type VerifiedAssertion, type VerifyAssertionDeps, verifyAssertion } from "./verify-assertion.ts";

export interface AssertIdentityDeps extends VerifyAssertionDeps, CreateDeps {
  readonly listMappingsOf: (
    trust: Pick<TrustedIssuer, "id" | "organization">,
    subject: string,
  ) => Promise<readonly SubjectMapping[]>;
}

export interface AssertIdentityRequest {
  /** As received. */
  readonly assertion: string;
  readonly context: RequestContext;
}

/** The Agent that an assertion is of, and all that it takes to use it up. */
export interface AssertedIdentity {
  readonly agent: Extract<Principal, { kind: "agent" }>;
  readonly issuer: TrustedIssuerId;
  /** SHA-256 of what was signed, base64url. */
  readonly hash: string;
  /** Its `jti`; where it has none, its hash. */
  readonly once: string;
  /** When it is no longer accepted. */
  readonly expiresAt: Date;
  /** What must still be true when anything is issued for it. */
  readonly conditions: readonly Condition[];
}

/**
 * Tells which Agent an assertion of a trusted issuer is of. A subject that was never seen becomes an Agent at once where a
 * rule says so: with an owner, and with no authority that nobody gave it. However many ask at once, it is one Agent.
 *
 * @throws VerificationError for what is no assertion that anybody here trusts; KeysUnreachable; DomainError
 *   `not_attested` for a subject that is mapped to no Agent, `subject_not_active`, `ledger_unavailable`
 * @see RFC 7523, sections 2.1 and 3
 */
export async function assertIdentity(
  deps: AssertIdentityDeps,
  { assertion, context }: AssertIdentityRequest,
): Promise<AssertedIdentity> {
  const verified = await verifyAssertion(deps, assertion, { kind: "workload" });
  const { trust, hash, claims, expiresAt } = verified;
  const found = await mappedAgent(deps, verified, context);
  return {
    agent: { kind: "agent", organization: trust.organization, id: found.agent },
    issuer: trust.id,
    hash,
    once: claims.jti ?? hash,
    expiresAt,
    conditions: [
      active("trusted_issuer", trust.id),
      active("subject_mapping", found.mapping),
      { on: "approved_checksum", id: found.agent, checksum: checksumIn(trust, claims) ?? null },
    ],
  };
}

interface MappedAgent {
  readonly agent: AgentId;
  readonly mapping: string;
}

async function mappedAgent(
  deps: AssertIdentityDeps,
  verified: VerifiedAssertion,
  context: RequestContext,
): Promise<MappedAgent> {
  const { trust, subject, claims } = verified;
  const read = async () => mappingFor(await deps.listMappingsOf(trust, subject), subject, claims);
  const mapping = await read();
  if (mapping === undefined)
    throw await refuse(deps, "token.refused", trailOf(verified, context), trust.id, unmapped);
  if ("agent" in mapping.to) return { agent: mapping.to.agent, mapping: mapping.id };
  if ("user" in mapping.to) throw new Error(`${mapping.id} maps a workload to a person`);
  const made = await provision(deps, verified, { rule: mapping, ...mapping.to }, context);
  if (made !== "taken") return made;
  // Somebody else met the subject first.
  const first = await read();
  if (first !== undefined && "agent" in first.to) return { agent: first.to.agent, mapping: first.id };
  throw await refuse(deps, "token.refused", trailOf(verified, context), trust.id, unmapped);
}

const nameCharsMax = 200;

/** Makes an Agent of a subject that was never seen, together with the mapping by which it is known from now on. */
async function provision(
  deps: AssertIdentityDeps,
  verified: VerifiedAssertion,
  { rule, owner, kind, namePrefix }: Extract<MappedTo, { owner: UserId }> & { readonly rule: SubjectMapping },
  context: RequestContext,
): Promise<MappedAgent | "taken"> {
  const { trust, subject } = verified;
  const nowMs = deps.now();
  const at = new Date(nowMs);
  const random = deps.randomBytes(32);
  const agent = newId("agent", nowMs, random);
  const mapping = newId("mapping", nowMs, random.subarray(16));
  const shared = { organization_id: trust.organization, owner_id: owner };
  const name = `${namePrefix}${subject}`.slice(0, nameCharsMax).toWellFormed();
  const done = await recordUnlessTaken(
    deps,
    {
      type: "agent.created",
      refusedAs: "token.refused",
      trail: { ...trailOf(verified, context), owner },
      outcome: {
        target: { kind: "agent", id: agent },
        detail: { kind, trusted_issuer: trust.id, mapping, rule: rule.id },
      },
      writes: [
        {
          into: "agent",
          row: { ...shared, id: agent, name, kind, status: "active", expires_at: null, created_at: at },
        },
        { into: "agent_owner", row: { ...shared, agent_id: agent } },
        {
          into: "subject_mapping",
          row: {
            id: mapping,
            organization_id: trust.organization,
            trusted_issuer_id: trust.id,
            subject,
            claims: [],
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
      conditions: [
        active("trusted_issuer", trust.id),
        active("subject_mapping", rule.id),
        active("user", owner),
        { on: "agent_quota", id: trust.id },
      ],
      demands: undefined,
    },
    [subjectIndex],
  );
  return done === "taken" ? "taken" : { agent, mapping };
}

const subjectIndex = "subject_mapping_by_subject";

/** Nobody of ours acts yet: it is the issuer who says something. */
function trailOf({ trust }: VerifiedAssertion, context: RequestContext): Trail {
  return {
    organization: trust.organization,
    actor: { kind: "system", id: trust.id },
    action: "identity.assert",
    attestation: "platform",
    ...requestOf(context),
  };
}

const unmapped = plainRefusal("not_attested", "no agent is mapped to this subject");
