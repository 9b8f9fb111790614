import { type Principal, spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { z } from "zod";
import { type Agent, type AgentRecord, standingOf } from "../domain/agent.ts";
import type { ClientProfile } from "../domain/client.ts";
import { type DelegationChain, faultOf } from "../domain/delegation-chain.ts";
import type { Node } from "../domain/node.ts";
import type { Operator } from "../domain/operator.ts";
import type { RegistrationEntry } from "../domain/registration-entry.ts";
import type { Resource } from "../domain/resource.ts";
import type { Revocation } from "../domain/revocation.ts";
import type { SubjectMapping, TrustedIssuer } from "../domain/trusted-issuer.ts";
import type { User } from "../domain/user.ts";
import type { AccessAnswer, AccessPage } from "../journeys/agent/access.ts";
import type { ClientPrincipal } from "../journeys/client/set.ts";
import type { ListedKey } from "../journeys/keys/list.ts";
import type { previewReach } from "../journeys/reach-items.ts";
import type { RevocationReceipt } from "../journeys/revocation-receipt.ts";

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

/** A User, as the contract writes it. */
export function userToWire(user: User) {
  return { ...commonToWire(user), name: user.name, email: user.email };
}

/** An Agent with the status that it comes to; its SPIFFE ID is its client id, as the contract writes it. */
export function agentToWire({ trustDomain, now }: AgentWireDeps, agent: Agent) {
  const { id, organization, owner, name, kind, expiresAtMs } = agent;
  const clientId = spiffeIdOf(trustDomain, { kind: "agent", organization, id });
  return {
    ...commonToWire(agent),
    client_id: clientId,
    spiffe_id: clientId,
    owner,
    name,
    kind,
    ...standingToWire(agent, now()),
    expires_at: timeToWire(expiresAtMs),
  };
}

interface AgentWireDeps {
  readonly trustDomain: TrustDomain;
  readonly now: () => number;
}

/** An Agent with what else the registry knows of it, as the contract writes it. */
export function agentRecordToWire(deps: AgentWireDeps, agent: Agent, record: AgentRecord) {
  const { thumbprints, stoppedAtMs, held, given } = record;
  return {
    ...agentToWire(deps, agent),
    keys: thumbprints,
    stopped_at: timeToWire(stoppedAtMs),
    delegations: { held, given },
  };
}

/** What an Agent may do now, as the contract writes it. */
export function accessToWire({ agent, items, next }: AccessPage, nowMs: number) {
  return {
    agent: agent.id,
    ...standingToWire(agent, nowMs),
    items: items.map((access) => {
      const { by } = access;
      const scopes = access.scopes.map(({ scope, decision, acting }) => ({
        scope,
        ...answerToWire(decision),
        acting: answerToWire(acting),
      }));
      if (by === "policy") return { by, resource: access.resource.audience, scopes };
      const { chain, budgetLeft } = access;
      const delegation = delegationToWire(chain, nowMs);
      return { by, delegation, budget_left: budgetLeft, grantors: grantorsToWire(chain), scopes };
    }),
    next,
  };
}

function answerToWire({ effect, rule, reason }: AccessAnswer) {
  return { effect, rule, reason };
}

/** From the User down to the party that made the leaf. */
function grantorsToWire({ subject, hops }: DelegationChain) {
  const agents = hops.slice(0, -1).map(({ delegation, agent, owner }) => ({
    agent: agent.id,
    owner: owner.id,
    delegation: delegation.id,
  }));
  return [{ user: subject.id }, ...agents];
}

function standingToWire(agent: Agent, nowMs: number) {
  const { standing: status, reason: status_reason } = standingOf(agent, nowMs);
  return { status, status_reason };
}

/** A time as the contract writes it; undefined where there is none. */
export function timeToWire(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}

/** A Resource, whose audience tokens name, as the contract writes it. */
export function resourceToWire(trustDomain: TrustDomain, resource: Resource) {
  const { id, organization, audience, scope, owner, open } = resource;
  const client: Principal = { kind: "resource", organization, id };
  return {
    ...commonToWire(resource),
    client_id: spiffeIdOf(trustDomain, client),
    audience,
    scope,
    owner,
    open,
  };
}

/** A client, as the contract writes it: nothing of its secret. */
export function clientToWire(trustDomain: TrustDomain, principal: ClientPrincipal, profile: ClientProfile) {
  return {
    id: principal.id,
    client_id: spiffeIdOf(trustDomain, principal),
    redirect_uris: profile.redirectUris,
    token_endpoint_auth_method: profile.authMethod,
    dpop_nonce_required: profile.dpopNonceRequired,
    compat: profile.compat,
  };
}

/** A TrustedIssuer, as the contract writes it. */
export function trustedIssuerToWire(trusted: TrustedIssuer) {
  const { issuer, kind, audience, tenant, jwks, maxAgeSeconds, algorithms } = trusted;
  return {
    ...commonToWire(trusted),
    issuer,
    kind,
    audience,
    tenant_claim: tenant,
    pinned: jwks !== undefined,
    max_age_seconds: maxAgeSeconds,
    algorithms,
    max_agents: trusted.maxAgents,
    checksum_claims: trusted.checksumClaims,
  };
}

/** A SubjectMapping, as the contract writes it. */
export function subjectMappingToWire(mapping: SubjectMapping) {
  const { id, issuer, subject, claims, to, provisionedBy, status, createdAtMs } = mapping;
  const pairs = claims.map((pair): [string, string] => {
    const at = pair.indexOf("=");
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  return {
    id,
    issuer,
    subject,
    claims: Object.fromEntries(pairs),
    ...("owner" in to ? { provision: { owner: to.owner, kind: to.kind, name_prefix: to.namePrefix } } : to),
    provisioned_by: provisionedBy,
    status,
    created_at: new Date(createdAtMs).toISOString(),
  };
}

/** An Operator, as the contract writes it. */
export function operatorToWire(trustDomain: TrustDomain, operator: Operator) {
  const { id, organization, name } = operator;
  const client: Principal = { kind: "operator", organization, id };
  return {
    ...commonToWire(operator),
    client_id: spiffeIdOf(trustDomain, client),
    name,
  };
}

/** A delegation with the status that it comes to, ancestors and parties included, and why where it is not active. */
export function delegationToWire(chain: DelegationChain, nowMs: number) {
  const { delegation } = chain.leaf;
  const fault = faultOf(chain, nowMs);
  return {
    ...commonToWire(delegation),
    root: delegation.root,
    parent: delegation.parent,
    path: delegation.path,
    subject: delegation.subject,
    grantor_agent: delegation.grantor,
    grantee_agent: delegation.grantee,
    resource: chain.resource.audience,
    scope: delegation.scope,
    authorization_details: delegation.authorizationDetails,
    budget: delegation.budget,
    onward: delegation.onward.map(({ agent, resource, scope }) => ({ agent, resource, scope })),
    session: delegation.session,
    exclusive: delegation.exclusive === true,
    max_depth: delegation.maxDepth,
    expires_at: new Date(delegation.expiresAtMs).toISOString(),
    asserted_by: delegation.assertedBy,
    redeemed: delegation.redeemed,
    ...(fault && delegation.status === "active" && { status: "inactive" }),
    status_reason: fault?.reason,
  };
}

/** A SigningKey, its public half, as the contract writes it. */
export function signingKeyToWire(key: ListedKey) {
  return {
    id: key.id,
    purpose: key.purpose,
    log: key.logId ?? undefined,
    algorithm: key.algorithm,
    status: key.status,
    public_jwk: key.publicJwk,
    vkey: key.vkey,
    created_at: key.createdAt.toISOString(),
    activated_at: key.activatedAt?.toISOString(),
    retired_at: key.retiredAt?.toISOString(),
    not_after: key.notAfter?.toISOString(),
    signs_until: key.signsUntil?.toISOString(),
    published_until: key.publishedUntil?.toISOString(),
  };
}

/** A RegistrationEntry, as the contract writes it. */
export function entryToWire(entry: RegistrationEntry) {
  return {
    id: entry.id,
    agent: entry.agent,
    spiffe_id: entry.spiffeId,
    parent: entry.parent,
    selectors: [...entry.selectors],
    x509_ttl_seconds: entry.x509TtlSeconds,
    jwt_ttl_seconds: entry.jwtTtlSeconds,
    dns_names: [...entry.dnsNames],
    hint: entry.hint,
    federates_with: [...entry.federatesWith],
    status: entry.status,
    created_at: new Date(entry.createdAtMs).toISOString(),
  };
}

function commonToWire(
  thing: User | Agent | Resource | Operator | TrustedIssuer | DelegationChain["leaf"]["delegation"],
) {
  const { id, organization, status, createdAtMs } = thing;
  return { id, organization, status, created_at: new Date(createdAtMs).toISOString() };
}

/** The receipt of a revocation. */
export function receiptToWire({ revoked, atMs, ledger, treeSize, reach, signed }: RevocationReceipt) {
  return {
    revoked,
    complete_as_of: new Date(atMs).toISOString(),
    ledger,
    tree_size: treeSize,
    counts: reach,
    receipt: signed,
  };
}

/** What would end with something if it were revoked now. */
export function reachNowToWire({ counts, live, expiries, items }: Awaited<ReturnType<typeof previewReach>>) {
  return {
    counts,
    live,
    soonest_expiry: expiries && new Date(expiries.soonestMs).toISOString(),
    latest_expiry: expiries && new Date(expiries.latestMs).toISOString(),
    items,
  };
}

/** A revocation in a list. */
export function revocationToWire({ index, kind, id, revokedAtMs }: Revocation) {
  return { index, kind, id, revoked_at: new Date(revokedAtMs).toISOString() };
}

/** A Node, as the contract writes it. */
export function nodeToWire({ trustDomain }: Pick<AgentWireDeps, "trustDomain">, node: Node) {
  const { id, organization, name, attestation, subject, selectors, status, attestedAtMs, svid } = node;
  return {
    id,
    spiffe_id: spiffeIdOf(trustDomain, { kind: "node", organization, id }),
    name,
    attestation,
    subject,
    selectors,
    status,
    attested_at: new Date(attestedAtMs).toISOString(),
    svid: svid && { serial: svid.serial, expires_at: new Date(svid.expiresAtMs).toISOString() },
    spent_svid_shown_at: timeToWire(node.spentShownAtMs),
  };
}
