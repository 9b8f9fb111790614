import {
  listSigningKeys,
  rotateSigningKeys,
  taintAuthority,
  withdrawAuthority,
} from "@countersign/sdk/contract/signing-keys";
import { logOf } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { Router } from "express";
import { DomainError } from "../../domain/domain-error.ts";
import type { AdminDeps } from "../admin-deps.ts";
import { demandInstallation, runsInstallation } from "../caller.ts";
import { type EndpointDeps, mount } from "../endpoint.ts";
import { pageOf } from "../page.ts";
import { signingKeyToWire } from "../wire.ts";

/**
 * `/v1/keys`: the signing keys, their public halves only, and their rotation. Who does not run the installation sees those
 * of tokens and of the own log, and rotates none: they are the other organizations' too.
 */
export function mountKeys(router: Router, deps: EndpointDeps & AdminDeps): void {
  const listShown = async (caller: Principal) => {
    const keys = await deps.records.listSigningKeys();
    const own = [null, logOf(caller.organization)];
    const shown = runsInstallation(deps, caller) ? keys : keys.filter(({ logId }) => own.includes(logId));
    return shown.map(signingKeyToWire);
  };
  mount(router, deps, listSigningKeys, async ({ caller, query }) => {
    const keys = await listShown(caller);
    const { cursor, limit } = query;
    const before = keys.findIndex(({ id }) => id === cursor);
    // They are in the order of time, which a key's id does not tell: one that names none of them has no place there.
    if (cursor !== undefined && before < 0)
      throw new DomainError("invalid_request", "cursor: must be the `next` of a page of this list");
    return pageOf(query, keys.slice(before + 1, before + 1 + limit));
  });
  mount(router, deps, rotateSigningKeys, async ({ body: { purpose }, ...authenticated }) => {
    const { caller, context } = authenticated;
    demandInstallation(deps, authenticated);
    await deps.journeys.rotateKeys({ caller, context, ...(purpose !== undefined && { purpose }) });
    return { items: await listShown(caller) };
  });
  for (const [operation, journey] of changes) {
    mount(router, deps, operation, async ({ params: { id }, ...authenticated }) => {
      const { caller, context } = authenticated;
      demandInstallation(deps, authenticated);
      await deps.journeys[journey]({ caller, context, id });
      return { items: await listShown(caller) };
    });
  }
}

const changes = [
  [taintAuthority, "taintAuthority"],
  [withdrawAuthority, "withdrawAuthority"],
] as const;
