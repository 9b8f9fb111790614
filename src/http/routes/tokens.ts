import { revokeToken } from "@countersign/sdk/contract/tokens";
import type { Router } from "express";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount } from "../endpoint.ts";
import { receiptToWire } from "../wire.ts";

/** `/v1/tokens`: revocation by `jti`, for whoever does not hold the token itself. */
export function mountTokens(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, revokeToken, async ({ caller, context, params }) =>
    receiptToWire(await deps.journeys.revokeTokenById({ caller, context, token: params.id })),
  );
}
