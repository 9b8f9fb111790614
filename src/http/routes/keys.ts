import { listSigningKeys, rotateSigningKeys } from "@countersign/sdk/contract/signing-keys";
import type { Router } from "express";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount } from "../endpoint.ts";
import { signingKeyToWire } from "../wire.ts";

/** `/v1/keys`: the signing keys, their public halves only, and their rotation. */
export function mountKeys(router: Router, deps: EndpointDeps & AdminDeps): void {
  const list = async () => ({ items: (await deps.records.listSigningKeys()).map(signingKeyToWire) });
  mount(router, deps, listSigningKeys, list);
  mount(router, deps, rotateSigningKeys, async ({ caller, context, body: { purpose } }) => {
    await deps.journeys.rotateKeys({ caller, context, ...(purpose !== undefined && { purpose }) });
    return list();
  });
}
