import { parseAudience } from "@countersign/sdk/model/audience";
import { newId, type OrganizationId, type UserId } from "@countersign/sdk/model/ids";
import { type Scope, scopeOf } from "@countersign/sdk/model/scope";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { Resource } from "../../domain/resource.ts";
import type { User } from "../../domain/user.ts";
import { credentialWrite } from "../public-key.ts";
import { readKey } from "../read-key.ts";
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
import type { Refusal } from "../record/refusal.ts";

export interface CreateResourceDeps extends CreateDeps {
  readonly findUser: (organization: OrganizationId, id: UserId) => Promise<User | undefined>;
}

export interface CreateResourceRequest {
  /** An operator. */
  readonly caller: Principal;
  readonly audience: string;
  readonly scope: Scope;
  readonly owner?: UserId | undefined;
  /** Whether every User of the organization may grant its scopes. */
  readonly open: boolean;
  /** As received; without one the Resource can't introspect. */
  readonly publicJwk?: Readonly<Record<string, unknown>> | undefined;
  readonly context: RequestContext;
}

/**
 * Registers a resource server. Its audience is what tokens for it carry, in exactly this spelling.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `invalid_request` for an audience or scope that
 *   is not canonical and for an unfit key, `not_found` for an owner that is not there, `conflict` for an audience or key
 *   that is taken, `subject_not_active`, `ledger_unavailable`
 */
export async function createResource(
  deps: CreateResourceDeps,
  { caller, owner, open, publicJwk, context, ...asked }: CreateResourceRequest,
): Promise<Recorded<Resource>> {
  const { organization } = caller;
  const nowMs = deps.now();
  const trail: Trail = { ...trailOf(caller, context), action: "resource.create", ...(owner && { owner }) };
  const refused = (refusal: Refusal) => refuse(deps, "mutation.refused", trail, refusal.reason, refusal);
  await demandOperator(deps, "mutation.refused", caller, trail);

  const audience = parseAudience(asked.audience);
  const scope = scopeOf(asked.scope);
  if (audience === undefined) throw await refused(notCanonical);
  if (scope === undefined || scope.length === 0) throw await refused(noScope);
  const key = publicJwk && (await readKey(deps, trail, publicJwk));
  if (owner !== undefined && (await deps.findUser(organization, owner)) === undefined)
    throw await refused(noOwner);

  const id = newId("resource", nowMs, deps.randomBytes(16));
  const resource: Resource = {
    id,
    organization,
    audience,
    scope,
    owner,
    open,
    status: "active",
    createdAtMs: nowMs,
  };
  const row = {
    id,
    organization_id: organization,
    audience,
    scope,
    owner_id: owner ?? null,
    open,
    status: "active",
    created_at: new Date(nowMs),
  } as const;
  const credential =
    key && credentialWrite({ kind: "resource", organization, id }, key, nowMs, deps.randomBytes(16));
  const ledger = await record(deps, {
    type: "resource.created",
    refusedAs: "mutation.refused",
    trail: { ...trail, resource: audience },
    outcome: {
      target: { kind: "resource", id },
      scope: [...scope],
      detail: { open, ...(key && { thumbprint: key.thumbprint }) },
    },
    writes: [{ into: "resource", row }, ...(credential === undefined ? [] : [credential])],
    conditions: [...callerConditions(caller), ...(owner === undefined ? [] : [active("user", owner)])],
    demands: context.demands,
  });
  return { ...resource, ledger };
}

const notCanonical: Refusal = {
  code: "invalid_request",
  publicDetail: "the audience is not an absolute URI in its canonical spelling",
  reason: "audience not canonical",
};
const noScope: Refusal = {
  code: "invalid_request",
  publicDetail: "a resource has at least one well-formed scope",
  reason: "scope malformed",
};
const noOwner: Refusal = {
  code: "not_found",
  publicDetail: "there is no such owner",
  reason: "owner is not there",
};
