import { newId, type OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { isLoopback } from "../../domain/loopback.ts";
import {
  type AssertionAlgorithm,
  type TenantClaim,
  type TrustedIssuer,
  type TrustedIssuerKind,
  tenantClaimsOf,
} from "../../domain/trusted-issuer.ts";
import { callerConditions } from "../record/conditions.ts";
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
import { parsePinnedKeys } from "./issuer-keys.ts";

export interface CreateIssuerDeps extends CreateDeps {
  /** Our own issuer identifier. */
  readonly issuer: string;
  /** Whether an issuer may be on this very machine, over plain http too. */
  readonly allowsLoopback: boolean;
}

export interface CreateIssuerRequest {
  /** An operator. */
  readonly caller: Principal;
  /** As its tokens spell it. */
  readonly issuer: string;
  readonly kind: TrustedIssuerKind;
  /** Names the organization. Default: one that does, below our own issuer identifier; of `id_jag`, that identifier. */
  readonly audience?: string | undefined;
  /** A JWK set, as JSON; default: what the issuer publishes. */
  readonly jwks?: string | undefined;
  readonly tenant?: TenantClaim | undefined;
  readonly maxAgeSeconds: number;
  readonly algorithms: readonly AssertionAlgorithm[];
  readonly maxAgents: number;
  /** None, one or three. */
  readonly checksumClaims: readonly string[];
  readonly context: RequestContext;
}

/**
 * Lets an issuer of others say which of its workloads asks, or which person an agent acts for. An issuer that serves many is
 * trusted for one tenant of it. What a workload's token is meant for names the organization: whoever else names the tenant too
 * gets none of the tokens that are asked for here.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `invalid_request` for an issuer that can't be one, for
 *   one that serves many without a claim that names the tenant for good, for an audience that does not name the organization,
 *   and for unfit keys; `conflict` where the issuer, or that tenant of it, is trusted already; `ledger_unavailable`
 * @see draft-ietf-oauth-identity-assertion-authz-grant, section 3
 */
export async function createTrustedIssuer(
  deps: CreateIssuerDeps,
  { caller, context, ...asked }: CreateIssuerRequest,
): Promise<Recorded<TrustedIssuer>> {
  const { organization } = caller;
  const { issuer, kind, jwks, tenant, maxAgeSeconds, algorithms, maxAgents, checksumClaims } = asked;
  const audience = asked.audience ?? defaultAudience(deps, kind, organization);
  const trail: Trail = { ...trailOf(caller, context), action: "issuer.trust" };
  await demandOperator(deps, "mutation.refused", caller, trail);
  const fault = issuerFault(deps, asked) ?? audienceFault(deps, kind, organization, audience);
  if (fault !== undefined) throw await refuse(deps, "mutation.refused", trail, fault.reason, fault);

  const nowMs = deps.now();
  const id = newId("issuer", nowMs, deps.randomBytes(16));
  const made: TrustedIssuer = {
    id,
    organization,
    issuer,
    kind,
    audience,
    jwks,
    tenant,
    maxAgeSeconds,
    algorithms,
    maxAgents,
    checksumClaims,
    status: "active",
    createdAtMs: nowMs,
  };
  const row = {
    id,
    organization_id: organization,
    issuer,
    kind,
    audience,
    jwks: jwks ?? null,
    tenant_claim: tenant?.name ?? null,
    tenant_value: tenant?.value ?? null,
    max_age_seconds: maxAgeSeconds,
    algorithms,
    max_agents: maxAgents,
    checksum_claims: checksumClaims,
    status: "active",
    created_at: new Date(nowMs),
  } as const;
  const ledger = await record(deps, {
    type: "issuer.trusted",
    refusedAs: "mutation.refused",
    trail,
    outcome: {
      detail: {
        trusted_issuer: id,
        issuer,
        kind,
        audience,
        pinned: jwks !== undefined,
        max_age_seconds: maxAgeSeconds,
        algorithms: [...algorithms],
        max_agents: maxAgents,
        checksum_claims: [...checksumClaims],
        ...(tenant && { tenant_claim: tenant.name, tenant_value: tenant.value }),
      },
    },
    writes: [{ into: "trusted_issuer", row }],
    conditions: [
      ...callerConditions(caller),
      { on: "tenant_claim", id: `${kind} ${issuer} ${audience}`, claim: tenant?.name ?? null },
    ],
    demands: context.demands,
  });
  return { ...made, ledger };
}

function issuerFault(
  deps: Pick<CreateIssuerDeps, "allowsLoopback" | "issuer">,
  { issuer, jwks, tenant }: Omit<CreateIssuerRequest, "caller" | "context">,
): Refusal | undefined {
  if (!isIssuer(issuer, deps.allowsLoopback)) return notAnIssuer;
  // What we sign says what somebody may do, not who they are.
  if (issuer === deps.issuer)
    return plainRefusal("invalid_request", "this server's own tokens are no assertions");
  const claims = tenantClaimsOf(issuer);
  if (claims !== undefined && (tenant === undefined || !claims.includes(tenant.name)))
    return plainRefusal(
      "invalid_request",
      `this issuer serves everybody: name your tenant by one of ${claims.join(", ")}`,
    );
  const read = jwks === undefined ? undefined : parsePinnedKeys(jwks);
  return read !== undefined && "fault" in read ? plainRefusal("invalid_request", read.fault) : undefined;
}

function defaultAudience(
  { issuer }: Pick<CreateIssuerDeps, "issuer">,
  kind: TrustedIssuerKind,
  organization: OrganizationId,
): string {
  return kind === "id_jag" ? issuer : `${issuer}/org/${organization}`;
}

function audienceFault(
  { issuer }: Pick<CreateIssuerDeps, "issuer">,
  kind: TrustedIssuerKind,
  organization: OrganizationId,
  audience: string,
): Refusal | undefined {
  if (kind === "id_jag") return audience === issuer ? undefined : notForHere;
  return organizationOf(audience) === organization ? undefined : ofAnother;
}

/** The organization that an audience names, by the one `/org/<organization>` in it. */
function organizationOf(audience: string): string | undefined {
  const [, after, ...more] = `${audience}/`.split("/org/");
  return more.length > 0 ? undefined : after?.slice(0, after.indexOf("/"));
}

/** One spelling, as its tokens bear it; by plain http only where it can't be heard. */
function isIssuer(text: string, allowsLoopback: boolean): boolean {
  if (!URL.canParse(text)) return false;
  const { href, protocol, hostname, username, password } = new URL(text);
  const isOneSpelling = href === text || href === `${text}/`;
  if (!isOneSpelling || /[?#]/.test(text) || username !== "" || password !== "") return false;
  return isLoopback(hostname) ? allowsLoopback && /^https?:$/.test(protocol) : protocol === "https:";
}

const notAnIssuer = plainRefusal(
  "invalid_request",
  "the issuer is not an https URL as its tokens spell it, without query and fragment",
);
const notForHere = plainRefusal(
  "invalid_request",
  "an identity assertion is meant for this server's issuer, and nothing else",
);
const ofAnother = plainRefusal(
  "invalid_request",
  "the audience does not name the organization: put /org/ and its id into it, once",
);
