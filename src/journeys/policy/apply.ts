import type { PolicyApplicationClaims } from "@countersign/sdk/contract/policy-application";
import type { OrganizationId } from "@countersign/sdk/model/ids";
import { type Principal, spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { verifyPolicyApplication } from "@countersign/sdk/verify/verify-policy-application";
import type { VerifiedStatement } from "@countersign/sdk/verify/verify-statement";
import { createLocalJWKSet } from "jose";
import type { Client } from "../../domain/client.ts";
import type { AppliedPolicy } from "../../domain/policy-version.ts";
import { sha256 } from "../../ledger/sha256.ts";
import { lockOutOf, strangersIn } from "../../policy/fitness.ts";
import { PolicyRefused, type WrittenPolicy } from "../../policy/snapshot.ts";
import type { Write } from "../../store/write.ts";
import { callerConditions, keyConditions } from "../record/conditions.ts";
import {
  demandOperator,
  type RecordDeps,
  type Recorded,
  type RequestContext,
  recordUnlessTaken,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal, type Refusal } from "../record/refusal.ts";

export interface ApplyPolicyDeps extends RecordDeps {
  readonly issuer: string;
  readonly trustDomain: TrustDomain;
  readonly now: () => number;
  /** Of the organization of a caller. @throws PolicyRefused */
  readonly loadPolicy: (source: string) => Promise<WrittenPolicy>;
  readonly findClient: (principal: Principal) => Promise<Client | undefined>;
  readonly findAppliedPolicy: (
    organization: OrganizationId,
    number: "current",
  ) => Promise<AppliedPolicy | undefined>;
  /** From when it resolves on, this process decides by what was committed. */
  readonly reloadPolicies: () => Promise<void>;
}

export interface ApplyPolicyRequest {
  /** An operator. */
  readonly caller: Principal;
  /** The lines. */
  readonly source: string;
  /** That they are to follow the version in force, compact. */
  readonly signature: string;
  readonly context: RequestContext;
}

/** A version that came into force. */
export type Applied = Recorded<{ readonly version: AppliedPolicy }>;

/**
 * Brings a policy into force in the caller's organization. Its applicant signed its hash and the one that it follows: of
 * two that are to follow the same version, one does. The version in force stays where the new one is unfit.
 *
 * @throws DomainError `policy_refused`; `not_authorized` for who is no operator or did not sign it, `invalid_request` for
 *   what is no signature, `conflict` where another version is in force; `subject_not_active`, `ledger_unavailable`
 */
export async function applyPolicy(deps: ApplyPolicyDeps, request: ApplyPolicyRequest): Promise<Applied> {
  const { caller, source, context } = request;
  const { organization } = caller;
  const trail: Trail = { ...trailOf(caller, context), action: "policy.apply" };
  const refused = (refusal: Refusal) => refuse(deps, "mutation.refused", trail, "policy", refusal);
  const operator = await demandOperator(deps, "mutation.refused", caller, trail);
  const client = await deps.findClient(operator);
  if (client === undefined) throw await refused(notSigned);
  const signed = await verifySignature(deps, client, request.signature);
  if ("code" in signed) throw await refused(signed);
  const { claims, claimsHash, kid } = signed;

  const snapshot = await fitPolicy(deps, operator, source);
  if ("code" in snapshot) throw await refused(snapshot);
  if (claims.policy !== snapshot.hash || claims.organization !== organization) throw await refused(notSigned);
  const current = await deps.findAppliedPolicy(organization, "current");
  if (current === undefined || claims.previous !== current.hash) throw await refused(notFollowing);
  if (current.hash === snapshot.hash) throw await refused(inForce);

  const version: AppliedPolicy = {
    organization,
    number: current.number + 1,
    hash: snapshot.hash,
    source,
    appliedBy: operator.id,
    signature: request.signature,
    appliedAtMs: deps.now(),
  };
  const detail = {
    policy: snapshot.hash,
    previous: current.hash,
    number: version.number,
    claims_hash: claimsHash,
  };
  const ledger = await recordUnlessTaken(
    deps,
    {
      type: "policy.applied",
      refusedAs: "mutation.refused",
      trail,
      outcome: { detail },
      writes: writesOf(version, snapshot),
      conditions: [...callerConditions(operator), ...keyConditions(client, kid)],
      demands: context.demands,
    },
    ["policy_applied_next"],
  );
  if (ledger === "taken") throw await refused(notFollowing);
  await deps.reloadPolicies();
  return { version, ledger };
}

/** The rows of a version that comes into force. */
export function writesOf(
  { organization, appliedAtMs, ...version }: AppliedPolicy,
  { hash, text }: WrittenPolicy,
): readonly Write[] {
  const at = new Date(appliedAtMs);
  const row = {
    organization_id: organization,
    number: version.number,
    hash,
    source: version.source ?? null,
    applied_by: version.appliedBy ?? null,
    signature: version.signature ?? null,
    applied_at: at,
  };
  return [
    { into: "policy_version", row: { hash, text, created_at: at } },
    { into: "policy_applied", row },
  ];
}

/** What a registered key of the operator signed, or why it is refused. */
async function verifySignature(
  { issuer, trustDomain, now }: ApplyPolicyDeps,
  { principal, credentials }: Client,
  signature: string,
): Promise<VerifiedStatement<PolicyApplicationClaims> | Refusal> {
  const keys = createLocalJWKSet({
    keys: credentials.map(({ thumbprint, publicJwk }) => ({ ...JSON.parse(publicJwk), kid: thumbprint })),
  });
  const expected = { issuer, operator: spiffeIdOf(trustDomain, principal) };
  try {
    return await verifyPolicyApplication({ keys, now, sha256 }, signature, expected);
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    const reason = `${error.code}: ${error.message}`;
    return ["key_unknown", "signature_invalid", "issuer_unknown"].includes(error.code)
      ? { ...notSigned, reason }
      : { code: "invalid_request", publicDetail: error.message, reason };
  }
}

/** The policy that these lines are, or why it can't be in force. */
async function fitPolicy(
  { loadPolicy, issuer }: ApplyPolicyDeps,
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

const notSigned: Refusal = {
  code: "not_authorized",
  publicDetail: "the policy is signed by who applies it, for their organization",
  reason: "the signature is another's, or of another policy",
};
const notFollowing = plainRefusal(
  "conflict",
  "another version is in force than the one that this was signed to follow: read it, and sign again",
);
const inForce = plainRefusal("conflict", "this version is in force already");
