import { type Principal, spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { Client, ClientProfile } from "../../domain/client.ts";
import type { StandingCondition } from "../../store/write.ts";
import { callerConditions } from "../record/conditions.ts";
import {
  demandOperator,
  type RecordDeps,
  type Recorded,
  type RequestContext,
  record,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";
import { newClientSecret } from "./client-secret.ts";

export interface SetClientDeps extends RecordDeps {
  readonly trustDomain: TrustDomain;
  readonly now: () => number;
  readonly randomBytes: (size: number) => Uint8Array;
  readonly findClient: (principal: Principal) => Promise<Client | undefined>;
}

/** A principal that can be given a profile. Operators prove themselves in one way, with their key. */
export type ClientPrincipal = Extract<Principal, { kind: "agent" | "resource" }>;

export interface SetClientRequest {
  /** An operator. */
  readonly caller: Principal;
  /** Of the caller's organization. */
  readonly client: ClientPrincipal;
  /** All of it: nothing of what was set before stays. */
  readonly profile: Omit<ClientProfile, "secretVerifier">;
  readonly context: RequestContext;
}

/** What was set, and the new secret where the client shall have one: told now, and never again. */
export interface SetClient {
  readonly client: ClientPrincipal;
  readonly profile: ClientProfile;
  readonly secret?: string;
}

/**
 * Sets how an Agent or a Resource authenticates and asks. Each time it is set to `client_secret_basic` it gets a new
 * secret, and the one before is worth nothing.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `not_found`, `invalid_request` for a secret
 *   without compat, `subject_not_active` for one that is retired, `ledger_unavailable`
 */
export async function setClient(
  deps: SetClientDeps,
  { caller, client, profile: given, context }: SetClientRequest,
): Promise<Recorded<SetClient>> {
  const asked: Trail = { ...trailOf(caller, context), action: "client.set" };
  await demandOperator(deps, "mutation.refused", caller, asked);
  const found = await deps.findClient(client);
  if (found === undefined || client.organization !== caller.organization)
    throw await refuse(deps, "mutation.refused", asked, "unknown", noClient);
  const { kind, id } = client;
  const trail: Trail = {
    ...asked,
    target: { kind, id },
    ...(found.owner && { owner: found.owner.id }),
  };
  const { redirectUris, authMethod, dpopNonceRequired, compat } = given;
  const hasSecret = authMethod === "client_secret_basic";
  if (hasSecret && !compat) throw await refuse(deps, "mutation.refused", trail, id, secretWithoutCompat);
  const made = hasSecret ? newClientSecret(deps.randomBytes) : undefined;
  const row = {
    organization_id: client.organization,
    principal_id: id,
    redirect_uris: redirectUris,
    auth_method: authMethod,
    dpop_nonce_required: dpopNonceRequired,
    compat,
    secret_verifier: made?.verifier ?? null,
    created_at: new Date(deps.now()),
  };
  const ledger = await record(deps, {
    type: "client.changed",
    refusedAs: "mutation.refused",
    trail,
    outcome: {
      detail: {
        client_id: spiffeIdOf(deps.trustDomain, client),
        redirect_uris: [...redirectUris],
        auth_method: authMethod,
        dpop_nonce_required: dpopNonceRequired,
        compat,
      },
    },
    writes: [{ into: "client_profile", row }],
    conditions: [...callerConditions(caller), notRetired(kind, id)],
    demands: context.demands,
  });
  deps.invalidate(id);
  const profile: ClientProfile = { ...given, secretVerifier: made?.verifier };
  return { client, profile, ledger, ...(made && { secret: made.secret }) };
}

function notRetired(on: ClientPrincipal["kind"], id: string): StandingCondition {
  return { on, id, status: ["active", "suspended"] };
}

const noClient = plainRefusal("not_found", "there is no such client");
const secretWithoutCompat = plainRefusal(
  "invalid_request",
  "client_secret_basic is for clients with compat only",
);
