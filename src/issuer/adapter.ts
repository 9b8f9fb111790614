import { principalOf } from "@countersign/sdk/model/spiffe-id";
import type { Adapter, AdapterFactory, AdapterPayload, ClientMetadata } from "oidc-provider";
import type { IssuerDeps, RegisteredClient } from "./issuer-deps.ts";
import { orOAuthError } from "./to-oauth-error.ts";
import { tokenExchangeGrantType } from "./token-exchange-request.ts";

type AdapterDeps = Pick<IssuerDeps, "findClient" | "isUnavailable" | "trustDomain">;

/**
 * What the library may read and keep: it reads clients, and keeps nothing. Access tokens are self-contained, replay
 * protection and revocation are ours, and nobody can log in yet.
 */
export function createAdapter(deps: AdapterDeps): AdapterFactory {
  return (model) => (model === "Client" ? clientAdapter(deps) : keepNothing(model));
}

function clientAdapter(deps: AdapterDeps): Adapter {
  const find = async (clientId: string): Promise<AdapterPayload | undefined> => {
    // What can't be a client of ours costs no look-up.
    if (principalOf(deps.trustDomain, clientId) === undefined) return undefined;
    const client = await orOAuthError(deps, deps.findClient(clientId));
    return client && clientMetadata(client);
  };
  return { ...keepNothing("Client"), find };
}

/** Every client may ask by every grant that works: a journey decides, and records that it did. */
function clientMetadata({ clientId, jwks }: RegisteredClient): ClientMetadata {
  return {
    client_id: clientId,
    token_endpoint_auth_method: "private_key_jwt",
    jwks: { keys: [...jwks.keys] },
    grant_types: ["client_credentials", tokenExchangeGrantType],
    response_types: [],
    redirect_uris: [],
  };
}

function keepNothing(model: string): Adapter {
  const refuse = async () => {
    throw new Error(`the issuer keeps no ${model}`);
  };
  return {
    upsert: refuse,
    find: refuse,
    findByUserCode: refuse,
    findByUid: refuse,
    consume: refuse,
    destroy: refuse,
    revokeByGrantId: refuse,
  };
}
