import { type AgentId, newId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import {
  checksumIn,
  mappingFor,
  type SubjectMapping,
  type TrustedIssuer,
} from "../../domain/trusted-issuer.ts";
import type { AssertionProof, NewSubjectProof } from "../record/proof.ts";
import { type RecordDeps, type RequestContext, refuse } from "../record/record.ts";
import { assertionTrail, unmapped } from "./unmapped.ts";
import { type VerifyAssertionDeps, verifyAssertion } from "./verify-assertion.ts";

export interface AssertIdentityDeps extends VerifyAssertionDeps, Pick<RecordDeps, "recordRefusal"> {
  readonly randomBytes: (size: number) => Uint8Array;
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
  /** Of a subject that was never seen the one that it will be, once its sender has proven to hold a key. */
  readonly agent: Extract<Principal, { kind: "agent" }>;
  readonly proof: AssertionProof | NewSubjectProof;
  /** RFC 7638 thumbprint of the key whose holder alone it is for, where it says so. */
  readonly boundTo: string | undefined;
  /** SHA-256 of what was signed, base64url. */
  readonly hash: string;
  /** Its `jti`; where it has none, its hash. */
  readonly once: string;
  /** When it is no longer accepted. */
  readonly expiresAt: Date;
}

/**
 * Tells which Agent an assertion of a trusted issuer is of, or by which rule it will be one. Nothing is made of it here: who
 * sent it has not proven anything yet.
 *
 * @throws VerificationError for what is no assertion that anybody here trusts; KeysUnreachable; DomainError
 *   `not_attested` for a subject that is mapped to no Agent, `ledger_unavailable`
 * @see RFC 7523, sections 2.1 and 3
 */
export async function assertIdentity(
  deps: AssertIdentityDeps,
  { assertion, context }: AssertIdentityRequest,
): Promise<AssertedIdentity> {
  const verified = await verifyAssertion(deps, assertion, { kind: "workload" });
  const { trust, subject, hash, claims, boundTo, expiresAt } = verified;
  const mapping = mappingFor(await deps.listMappingsOf(trust, subject), subject, claims);
  if (mapping === undefined) {
    const trail = assertionTrail(trust, context);
    throw await refuse(deps, "token.refused", trail, trust.id, unmapped("not_attested"));
  }
  const checksum = checksumIn(trust, claims);
  const { id, provisionedBy: rule } = mapping;
  const asserted = { trustedIssuer: trust.id, checksum };
  const identity = { hash, boundTo, once: claims.jti ?? hash, expiresAt };
  const agentOf = (id: AgentId) => ({ kind: "agent", organization: trust.organization, id }) as const;
  if ("agent" in mapping.to) {
    const proof = { ...asserted, kind: "assertion", mapping: id, rule } as const;
    return { ...identity, agent: agentOf(mapping.to.agent), proof };
  }
  if ("user" in mapping.to) throw new Error(`${mapping.id} maps a workload to a person`);
  const kept = newId("agent", deps.now(), deps.randomBytes(16));
  return {
    ...identity,
    agent: agentOf(kept),
    proof: { ...asserted, kind: "new_subject", subject, rule: id },
  };
}
