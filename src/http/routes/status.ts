import { getServerStatus } from "@countersign/sdk/contract/server-status";
import type { Router } from "express";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount } from "../endpoint.ts";

/** `/v1/status`: how the server and each of its dependencies are, for `countersign doctor`. */
export function mountStatus(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, getServerStatus, ({ caller }) => deps.status(caller.organization));
}
