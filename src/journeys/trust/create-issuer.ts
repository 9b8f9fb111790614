import { newId, type OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { isLoopback } from "../../domain/loopback.ts";
import {
  type AssertionAlgorithm,
  type TenantClaim,
  type TrustedIssuer,
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
  readonly listTrustsIn: (issuer: string) => Promise<readonly TrustedIssuer[]>;
}

export interface CreateIssuerRequest {
  /** An operator. */
  readonly caller: Principal;
  /** As its tokens spell it. */
  readonly issuer: string;
  /** Default: our own issuer identifier. */
  readonly audience?: string | undefined;
  /** A JWK set, as JSON; default: what the issuer publishes. */
  readonly jwks?: string | undefined;
  readonly tenant?: TenantClaim | undefined;
  readonly maxAgeSeconds: number;
  readonly algorithms: readonly AssertionAlgorithm[];
  readonly context: RequestContext;
}

/**
 * Lets an issuer of others say which of its workloads asks. An issuer that serves many is trusted for one tenant of it, which
 * no other organization can name too.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `invalid_request` for an issuer that can't be one, for
 *   one that serves many without a claim that names the tenant for good, and for unfit keys; `conflict` where the issuer, or
 *   that tenant of it, is trusted already; `ledger_unavailable`
 */
export async function createTrustedIssuer(
  deps: CreateIssuerDeps,
  { caller, context, ...asked }: CreateIssuerRequest,
): Promise<Recorded<TrustedIssuer>> {
  const { organization } = caller;
  const { issuer, audience = deps.issuer, jwks, tenant, maxAgeSeconds, algorithms } = asked;
  const trail: Trail = { ...trailOf(caller, context), action: "issuer.trust" };
  await demandOperator(deps, "mutation.refused", caller, trail);
  const fault = issuerFault(deps, asked) ?? (await overlapWith(deps, organization, issuer, tenant));
  if (fault !== undefined) throw await refuse(deps, "mutation.refused", trail, fault.reason, fault);

  const nowMs = deps.now();
  const id = newId("issuer", nowMs, deps.randomBytes(16));
  const made: TrustedIssuer = {
    id,
    organization,
    issuer,
    kind: "workload",
    audience,
    jwks,
    tenant,
    maxAgeSeconds,
    algorithms,
    status: "active",
    createdAtMs: nowMs,
  };
  const row = {
    id,
    organization_id: organization,
    issuer,
    kind: made.kind,
    audience,
    jwks: jwks ?? null,
    tenant_claim: tenant?.name ?? null,
    tenant_value: tenant?.value ?? null,
    max_age_seconds: maxAgeSeconds,
    algorithms,
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
        audience,
        pinned: jwks !== undefined,
        max_age_seconds: maxAgeSeconds,
        algorithms: [...algorithms],
        ...(tenant && { tenant_claim: tenant.name, tenant_value: tenant.value }),
      },
    },
    writes: [{ into: "trusted_issuer", row }],
    conditions: callerConditions(caller),
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

/** Whether tokens of this issuer could be meant for two trusts: all name the tenant by one claim, or there is one only. */
async function overlapWith(
  deps: CreateIssuerDeps,
  organization: OrganizationId,
  issuer: string,
  tenant: TenantClaim | undefined,
): Promise<Refusal | undefined> {
  const others = await deps.listTrustsIn(issuer);
  const overlaps = others.filter(
    (other) =>
      tenant === undefined || other.tenant?.name !== tenant.name || other.tenant.value === tenant.value,
  );
  if (overlaps.length === 0) return undefined;
  const isOwn = overlaps.every((other) => other.organization === organization);
  return isOwn ? trustedAlready : trustedByOthers;
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
const trustedAlready = plainRefusal("conflict", "this issuer, or this tenant of it, is trusted already");
const trustedByOthers = plainRefusal(
  "conflict",
  "this issuer can't be trusted so here: name the tenant by the claim that others name theirs by, and by a value of your own",
);
