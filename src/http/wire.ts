import {
  agentSchema,
  delegationSchema,
  type LedgerPosition,
  operatorSchema,
  resourceSchema,
  revocationReceiptSchema,
  signingKeySchema,
  userSchema,
} from "@countersign/sdk/contract/admin-api";
import { parseId, parseOrganizationId } from "@countersign/sdk/model/ids";
import { spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { z } from "zod";
import type {
  AgentRecord,
  DelegationRecord,
  OperatorRecord,
  ResourceRecord,
  SigningKeyRecord,
  UserRecord,
} from "./records.ts";

/**
 * Answers with a value of the contract and with nothing else.
 *
 * @throws Error when the value is not of the contract: a fault of ours, never the caller's
 */
export function toWire<Wire>(schema: z.ZodType<Wire>, value: unknown): Wire {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new Error("the answer is not what the contract says", { cause: parsed.error });
  return parsed.data;
}

export function userToWire(user: UserRecord) {
  return toWire(userSchema, {
    ...rowToWire(user),
    name: user.name,
    ...(user.email !== null && { email: user.email }),
  });
}

export function agentToWire(trustDomain: TrustDomain, agent: AgentRecord) {
  const clientId = clientIdOf(trustDomain, "agent", agent);
  return toWire(agentSchema, {
    ...rowToWire(agent),
    client_id: clientId,
    spiffe_id: clientId,
    owner: agent.ownerId,
    name: agent.name,
    kind: agent.kind,
  });
}

export function resourceToWire(trustDomain: TrustDomain, resource: ResourceRecord) {
  return toWire(resourceSchema, {
    ...rowToWire(resource),
    client_id: clientIdOf(trustDomain, "resource", resource),
    audience: resource.audience,
    scope: resource.scope,
    ...(resource.ownerId !== null && { owner: resource.ownerId }),
    open: resource.open,
  });
}

export function operatorToWire(trustDomain: TrustDomain, operator: OperatorRecord) {
  return toWire(operatorSchema, {
    ...rowToWire(operator),
    client_id: clientIdOf(trustDomain, "operator", operator),
    name: operator.name,
  });
}

export function delegationToWire(delegation: DelegationRecord) {
  return toWire(delegationSchema, {
    ...rowToWire(delegation),
    root: delegation.rootId,
    ...(delegation.parentId !== null && { parent: delegation.parentId }),
    path: delegation.path,
    subject: delegation.subjectId,
    ...(delegation.grantorAgentId !== null && { grantor_agent: delegation.grantorAgentId }),
    grantee_agent: delegation.granteeAgentId,
    resource: delegation.audience,
    scope: delegation.scope,
    authorization_details: JSON.parse(delegation.authorizationDetails),
    budget: JSON.parse(delegation.budget),
    onward: JSON.parse(delegation.onward),
    max_depth: delegation.maxDepth,
    expires_at: delegation.expiresAt.toISOString(),
    ...(delegation.assertedBy !== null && { asserted_by: delegation.assertedBy }),
  });
}

export function signingKeyToWire(key: SigningKeyRecord) {
  return toWire(signingKeySchema, {
    id: key.id,
    purpose: key.purpose,
    ...(key.logId !== null && { log: key.logId }),
    algorithm: key.algorithm,
    status: key.status,
    public_jwk: key.publicJwk,
    ...(key.vkey !== undefined && { vkey: key.vkey }),
    created_at: key.createdAt.toISOString(),
    ...(key.activatedAt !== null && { activated_at: key.activatedAt.toISOString() }),
    ...(key.retiredAt !== null && { retired_at: key.retiredAt.toISOString() }),
  });
}

function rowToWire(row: { id: string; organizationId: string; status: string; createdAt: Date }) {
  return {
    id: row.id,
    organization: row.organizationId,
    status: row.status,
    created_at: row.createdAt.toISOString(),
  };
}

function clientIdOf(
  trustDomain: TrustDomain,
  kind: "agent" | "resource" | "operator",
  row: { readonly id: string; readonly organizationId: string },
): string | undefined {
  const organization = parseOrganizationId(row.organizationId);
  if (organization === undefined) return undefined;
  if (kind === "agent") {
    const id = parseId("agent", row.id);
    return id && spiffeIdOf(trustDomain, { kind, organization, id });
  }
  if (kind === "resource") {
    const id = parseId("resource", row.id);
    return id && spiffeIdOf(trustDomain, { kind, organization, id });
  }
  const id = parseId("operator", row.id);
  return id && spiffeIdOf(trustDomain, { kind, organization, id });
}

/** The receipt of a revocation. */
export function receiptToWire(
  revoked: { readonly kind: "agent" | "delegation" | "token"; readonly id: string },
  recorded: { readonly atMs: number; readonly ledger: LedgerPosition },
) {
  return toWire(revocationReceiptSchema, {
    revoked,
    complete_as_of: new Date(recorded.atMs).toISOString(),
    ledger: recorded.ledger,
  });
}
