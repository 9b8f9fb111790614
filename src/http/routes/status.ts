import { serverStatusSchema } from "@countersign/sdk/contract/admin-api";
import type { Router } from "express";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount } from "../endpoint.ts";
import { toWire } from "../wire.ts";

/** `/v1/status`: how the server and each of its dependencies are, for `countersign doctor`. */
export function mountStatus(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, {
    method: "get",
    path: "/v1/status",
    anyOf: ["admin", "audit"],
    answer: async ({ caller }) => toWire(serverStatusSchema, await deps.status(caller.organization)),
  });
}
