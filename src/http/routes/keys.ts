import { rotateKeysRequestSchema, signingKeyListSchema } from "@countersign/sdk/contract/admin-api";
import type { Router } from "express";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount } from "../endpoint.ts";
import { signingKeyToWire, toWire } from "../wire.ts";

/** `/v1/keys`: the signing keys, their public halves only, and their rotation. */
export function mountKeys(router: Router, deps: EndpointDeps & AdminDeps): void {
  const list = async () => {
    const keys = await deps.records.listSigningKeys();
    return toWire(signingKeyListSchema, { items: keys.map(signingKeyToWire) });
  };
  mount(router, deps, { method: "get", path: "/v1/keys", anyOf: ["admin", "audit"], answer: list });
  mount(router, deps, {
    method: "post",
    path: "/v1/keys/rotate",
    anyOf: ["admin"],
    body: rotateKeysRequestSchema,
    answer: async ({ caller, context, body: { purpose } }) => {
      await deps.journeys.rotateKeys({ caller, context, ...(purpose !== undefined && { purpose }) });
      return list();
    },
  });
}
