import type { ListQuery } from "@countersign/sdk/contract/fields";
import {
  getRevocation,
  listReach,
  listRevocations,
  listSupplement,
} from "@countersign/sdk/contract/revocations";
import type { OrganizationId } from "@countersign/sdk/model/ids";
import type { Router } from "express";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount } from "../endpoint.ts";
import { found } from "../found.ts";
import { type RevocationStreamDeps, streamRevocations } from "../revocation-stream.ts";
import { receiptToWire, revocationToWire } from "../wire.ts";
import { actionReportToWire } from "../wire-actions.ts";

/** `/v1/revocations`: what was revoked, its signed receipts, and the lists of what they reached. */
export function mountRevocations(
  router: Router,
  deps: EndpointDeps & AdminDeps & RevocationStreamDeps,
): void {
  const page = async (organization: OrganizationId, { cursor, limit }: ListQuery) => {
    const after = cursor === undefined ? -1 : Number(cursor);
    const revocations = await deps.records.listRevocations(organization, { after, limit });
    const last = revocations.at(-1);
    const next = last !== undefined && revocations.length === limit ? String(last.index) : undefined;
    return { items: revocations.map(revocationToWire), next };
  };
  mount(
    router,
    deps,
    listRevocations,
    ({ caller, query }) => page(caller.organization, query),
    (authenticated, request, response) => streamRevocations(deps, authenticated, request, response),
  );
  mount(router, deps, getRevocation, async ({ caller, params }) => {
    const revocation = found(await deps.records.findRevocation(caller.organization, params.index));
    return receiptToWire(await deps.journeys.readReceipt(revocation));
  });
  mount(router, deps, listReach, async ({ caller, params, query }) => {
    const revocation = found(await deps.records.findRevocation(caller.organization, params.index));
    return deps.records.listReach(revocation, query);
  });
  mount(router, deps, listSupplement, async ({ caller, params, query: { cursor, limit } }) => {
    const revocation = found(await deps.records.findRevocation(caller.organization, params.index));
    const page = { limit, after: cursor === undefined ? undefined : Number(cursor) };
    const { reports, asOf, next } = await deps.records.readSupplement(revocation, page);
    const items = reports.map(actionReportToWire);
    return { items, as_of: asOf, next: next === undefined ? undefined : String(next) };
  });
}
