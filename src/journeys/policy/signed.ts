import type { OrganizationId, ProposalId } from "@countersign/sdk/model/ids";
import { type Principal, spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { verifyPolicyApplication } from "@countersign/sdk/verify/verify-policy-application";
import type { StatementDeps } from "@countersign/sdk/verify/verify-statement";
import type { Client } from "../../domain/client.ts";
import type { AppliedPolicy } from "../../domain/policy-version.ts";
import type { WrittenPolicy } from "../../policy/snapshot.ts";
import { readStatement } from "../read-statement.ts";
import { plainRefusal, type Refusal } from "../record/refusal.ts";
import { type FitPolicyDeps, fitPolicy } from "./fit.ts";

export interface SignedPolicyDeps extends FitPolicyDeps {
  readonly trustDomain: TrustDomain;
  readonly now: () => number;
  readonly findClient: (principal: Principal) => Promise<Client | undefined>;
  readonly findAppliedPolicy: (
    organization: OrganizationId,
    number: "current",
  ) => Promise<AppliedPolicy | undefined>;
}

/** Lines that an operator signed as the version that follows the one in force. */
export interface SignedPolicy {
  readonly snapshot: WrittenPolicy;
  readonly current: AppliedPolicy;
  readonly client: Client;
  readonly claimsHash: string;
  /** Of the key that signed. */
  readonly kid: string;
}

/** What is signed, and as the approval of which proposal, if it is one. */
export interface SignedText {
  readonly source: string;
  readonly signature: string;
  readonly proposal?: ProposalId;
}

/** Reads lines that an operator signed; or why they can't follow the version in force by that signature. */
export async function readSigned(
  deps: SignedPolicyDeps,
  operator: Extract<Principal, { kind: "operator" }>,
  { source, signature, proposal }: SignedText,
): Promise<SignedPolicy | Refusal> {
  const { organization } = operator;
  const client = await deps.findClient(operator);
  if (client === undefined) return notSigned;
  const expected = { issuer: deps.issuer, operator: spiffeIdOf(deps.trustDomain, client.principal) };
  const verify = (by: StatementDeps) => verifyPolicyApplication(by, signature, expected);
  const signed = await readStatement(deps, client, verify, notSigned);
  if ("code" in signed) return signed;
  const { claims, claimsHash, kid } = signed;
  const snapshot = await fitPolicy(deps, operator, source);
  if ("code" in snapshot) return snapshot;
  const isOfThis = claims.policy === snapshot.hash && claims.organization === organization;
  if (!isOfThis || claims.proposal !== proposal) return notSigned;
  const current = await deps.findAppliedPolicy(organization, "current");
  if (current === undefined || claims.previous !== current.hash) return notFollowing;
  if (current.hash === snapshot.hash) return inForce;
  return { snapshot, current, client, claimsHash, kid };
}

const notSigned: Refusal = {
  code: "not_authorized",
  publicDetail: "the policy is signed by who applies it, for their organization",
  reason: "the signature is another's, or of another policy",
};
/** Another version came into force first. */
export const notFollowing = plainRefusal(
  "conflict",
  "another version is in force than the one that this was signed to follow: read it, and sign again",
);
const inForce = plainRefusal("conflict", "this version is in force already");
