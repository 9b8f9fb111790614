import { getClient, setClient } from "@countersign/sdk/contract/clients";
import { type AgentId, type OrganizationId, parseId, type ResourceId } from "@countersign/sdk/model/ids";
import type { Router } from "express";
import type { ClientPrincipal } from "../../journeys/client/set.ts";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount, mountThing } from "../endpoint.ts";
import { found } from "../found.ts";
import { clientToWire } from "../wire.ts";

/** `/v1/clients/{id}`, by the id of an agent or a resource: how it authenticates and asks. */
export function mountClients(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, setClient, async ({ caller, context, params, body }) => {
    const { client, profile, secret, ledger } = await deps.journeys.setClient({
      caller,
      context,
      client: clientOf(caller.organization, params.id),
      profile: {
        redirectUris: body.redirect_uris,
        authMethod: body.token_endpoint_auth_method,
        dpopNonceRequired: body.dpop_nonce_required,
        compat: body.compat,
      },
    });
    return { ...clientToWire(deps.trustDomain, client, profile), client_secret: secret, ledger };
  });
  mountThing(router, deps, getClient, async ({ caller, params }) => {
    const principal = clientOf(caller.organization, params.id);
    const client = found(await deps.records.findClient(principal));
    const answer = clientToWire(deps.trustDomain, principal, client.profile);
    return { seen: { on: "client", ...client }, answer };
  });
}

function clientOf(organization: OrganizationId, id: AgentId | ResourceId): ClientPrincipal {
  const agent = parseId("agent", id);
  if (agent !== undefined) return { kind: "agent", organization, id: agent };
  return { kind: "resource", organization, id: found(parseId("resource", id)) };
}
