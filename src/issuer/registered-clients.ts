import { type Principal, principalOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { Client, ClientCredential } from "../domain/client.ts";
import type { IssuerDeps, RegisteredClient } from "./issuer-deps.ts";

/**
 * Makes the reading of clients as the issuer takes them: undefined for one that is not there. One that is suspended or
 * retired may still prove who it is: the journeys refuse it, and its attempt is recorded under its name.
 */
export function readsRegisteredClients(
  trustDomain: TrustDomain,
  findClient: (principal: Principal) => Promise<Client | undefined>,
): IssuerDeps["findClient"] {
  // As long as a client is cached it is one object, and so its parsed keys are kept as long.
  const made = new WeakMap<Client, RegisteredClient>();
  return async (clientId) => {
    const principal = principalOf(trustDomain, clientId);
    const client = principal && (await findClient(principal));
    if (client === undefined) return undefined;
    const registered = made.get(client) ?? {
      clientId,
      jwks: { keys: client.credentials.map(publicJwkOf) },
      profile: client.profile,
    };
    made.set(client, registered);
    return registered;
  };
}

function publicJwkOf({ publicJwk, thumbprint }: ClientCredential) {
  return { ...JSON.parse(publicJwk), kid: thumbprint };
}
