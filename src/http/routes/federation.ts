import {
  addFederation,
  getFederation,
  listFederations,
  refreshFederation,
  removeFederation,
} from "@countersign/sdk/contract/federation";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { Router } from "express";
import { noFederation } from "../../domain/federation.ts";
import type { AdminDeps } from "../admin-deps.ts";
import { demandInstallation } from "../caller.ts";
import { type EndpointDeps, mount, mountThing } from "../endpoint.ts";
import { found } from "../found.ts";
import { pageAfter, pageOf } from "../page.ts";
import { federationToWire } from "../wire-federation.ts";

/** `/v1/federation`: the foreign trust domains, for those who run the installation. */
export function mountFederation(router: Router, deps: EndpointDeps & AdminDeps): void {
  const { journeys, records } = deps;
  const find = async (trustDomain: TrustDomain) =>
    found(await records.findFederation(trustDomain), noFederation);
  mount(router, deps, addFederation, async ({ body, ...authenticated }) => {
    demandInstallation(deps, authenticated);
    const { caller, context } = authenticated;
    const { ledger, ...added } = await journeys.addFederation({
      caller,
      context,
      endpoint: {
        trustDomain: body.trust_domain,
        endpointUrl: body.endpoint_url,
        profile: body.profile,
        ca: body.ca,
        privateAllowed: body.allow_private,
      },
      endpointSpiffeId: body.endpoint_spiffe_id,
      trustedForSeconds: body.trusted_for,
      bundle: body.bundle,
    });
    return { ...federationToWire(added), ledger };
  });
  mount(router, deps, listFederations, async ({ query, ...authenticated }) => {
    demandInstallation(deps, authenticated);
    return pageOf(query, (await records.listFederations(pageAfter(query))).map(federationToWire));
  });
  mountThing(router, deps, getFederation, async ({ params, ...authenticated }) => {
    demandInstallation(deps, authenticated);
    const federation = await find(params.trust_domain);
    const { id, status } = federation;
    return { seen: { on: "federated_trust_domain", id, status }, answer: federationToWire(federation) };
  });
  mount(router, deps, refreshFederation, async ({ params, ...authenticated }) => {
    demandInstallation(deps, authenticated);
    const { caller, context } = authenticated;
    const federation = await find(params.trust_domain);
    const ledger = await journeys.refreshFederation({ caller, context, federation });
    return { ...federationToWire(await find(params.trust_domain)), ...(ledger && { ledger }) };
  });
  mount(router, deps, removeFederation, async ({ params, ...authenticated }) => {
    demandInstallation(deps, authenticated);
    const { caller, context } = authenticated;
    const asked = { caller, context, trustDomain: params.trust_domain };
    const { ledger, ...removed } = await journeys.removeFederation(asked);
    return { ...federationToWire(removed), ledger };
  });
}
