import { listSigningKeys, rotateSigningKeys } from "@countersign/sdk/contract/signing-keys";
import { logOf } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { Router } from "express";
import type { AdminDeps } from "../admin-deps.ts";
import { RefusedRequest, runsInstallation } from "../caller.ts";
import { type EndpointDeps, mount } from "../endpoint.ts";
import { signingKeyToWire } from "../wire.ts";

/**
 * `/v1/keys`: the signing keys, their public halves only, and their rotation. Who does not run the installation sees those
 * of tokens and of the own log, and rotates none: they are the other organizations' too.
 */
export function mountKeys(router: Router, deps: EndpointDeps & AdminDeps): void {
  const list = async (caller: Principal) => {
    const keys = await deps.records.listSigningKeys();
    const own = [null, logOf(caller.organization)];
    const shown = runsInstallation(deps, caller) ? keys : keys.filter(({ logId }) => own.includes(logId));
    return { items: shown.map(signingKeyToWire) };
  };
  mount(router, deps, listSigningKeys, ({ caller }) => list(caller));
  mount(router, deps, rotateSigningKeys, async ({ body: { purpose }, ...authenticated }) => {
    const { caller, context } = authenticated;
    if (!runsInstallation(deps, caller)) {
      const detail = "only an operator who runs the installation may do this";
      throw new RefusedRequest(authenticated, "not_authorized", detail);
    }
    await deps.journeys.rotateKeys({ caller, context, ...(purpose !== undefined && { purpose }) });
    return list(caller);
  });
}
