import { newId, type OrganizationId, type UserId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { type Agent, type AgentKind, isOver } from "../../domain/agent.ts";
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
import { plainRefusal } from "../record/refusal.ts";

export interface CreateAgentDeps extends CreateDeps {
  readonly findUser: (organization: OrganizationId, id: UserId) => Promise<User | undefined>;
}

export interface CreateAgentRequest {
  /** An operator. */
  readonly caller: Principal;
  readonly owner: UserId;
  readonly name: string;
  readonly kind: AgentKind;
  /** Milliseconds since the epoch; default: it does not expire. */
  readonly expiresAtMs?: number | undefined;
  /** As received; undefined for an Agent that has no key, and proves by attestation who it is. */
  readonly publicJwk?: Readonly<Record<string, unknown>> | undefined;
  readonly context: RequestContext;
}

/**
 * Makes an Agent with its owner, and with its first key if it has one, of which only the public half is ever seen.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `invalid_request` for a key that is private or
 *   of an unfit kind and for an expiry that is past, `not_found` for an owner that is not there, `conflict` for a key that speaks for someone already,
 *   `subject_not_active`, `ledger_unavailable`
 */
export async function createAgent(
  deps: CreateAgentDeps,
  { caller, owner, name, kind, expiresAtMs, publicJwk, context }: CreateAgentRequest,
): Promise<Recorded<Agent>> {
  const { organization } = caller;
  const nowMs = deps.now();
  const asked: Trail = { ...trailOf(caller, context), action: "agent.create" };
  await demandOperator(deps, "mutation.refused", caller, asked);
  const key = publicJwk && (await readKey(deps, asked, publicJwk));
  if (isOver({ expiresAtMs }, nowMs)) {
    const refusal = plainRefusal("invalid_request", "an agent expires in the future");
    throw await refuse(deps, "mutation.refused", asked, "expiry", refusal);
  }
  if ((await deps.findUser(organization, owner)) === undefined)
    throw await refuse(deps, "mutation.refused", asked, "owner", noOwner);
  const id = newId("agent", nowMs, deps.randomBytes(16));
  const agent: Agent = {
    id,
    organization,
    owner,
    ownerStatus: "active",
    tenure: 1,
    name,
    kind,
    status: "active",
    expiresAtMs,
    createdAtMs: nowMs,
  };
  const row = {
    id,
    organization_id: organization,
    owner_id: owner,
    name,
    kind,
    status: "active",
    expires_at: expiresAtMs === undefined ? null : new Date(expiresAtMs),
    trusted_issuer_id: null,
    created_at: new Date(nowMs),
  } as const;
  const expiry = expiresAtMs !== undefined && { expires_at: new Date(expiresAtMs).toISOString() };
  const ledger = await record(deps, {
    type: "agent.created",
    refusedAs: "mutation.refused",
    trail: { ...asked, owner },
    outcome: {
      target: { kind: "agent", id },
      detail: { kind, ...(key && { thumbprint: key.thumbprint }), ...expiry },
    },
    writes: [
      { into: "agent", row },
      { into: "agent_owner", row: { agent_id: id, organization_id: organization, owner_id: owner } },
      ...(key
        ? [credentialWrite({ kind: "agent", organization, id }, key, nowMs, deps.randomBytes(16))]
        : []),
    ],
    conditions: [...callerConditions(caller), active("user", owner)],
    demands: context.demands,
  });
  return { ...agent, ledger };
}

const noOwner = plainRefusal("not_found", "there is no such owner");
