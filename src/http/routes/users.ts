import {
  createUserRequestSchema,
  listQuerySchema,
  userCreatedSchema,
  userPageSchema,
} from "@countersign/sdk/contract/admin-api";
import type { Router } from "express";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount } from "../endpoint.ts";
import { found, idParam } from "../found.ts";
import { pageAfter, pageOf } from "../page.ts";
import { toWire, userToWire } from "../wire.ts";

/** `/v1/users`: the people who own agents and resources. */
export function mountUsers(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, {
    method: "post",
    path: "/v1/users",
    anyOf: ["admin"],
    status: 201,
    body: createUserRequestSchema,
    answer: async ({ caller, context, body: { name, email } }) => {
      const made = await deps.journeys.createUser({
        caller,
        context,
        name,
        ...(email !== undefined && { email }),
      });
      return toWire(userCreatedSchema, { ...userToWire(made), ledger: made.ledger });
    },
  });
  mount(router, deps, {
    method: "get",
    path: "/v1/users",
    anyOf: ["admin"],
    query: listQuerySchema,
    answer: async ({ caller, query }) => {
      const users = await deps.records.listUsers(caller.organization, pageAfter(query));
      return toWire(userPageSchema, pageOf(query, users.map(userToWire)));
    },
  });
  mount(router, deps, {
    method: "get",
    path: "/v1/users/:id",
    anyOf: ["admin"],
    answer: async ({ caller, params }) =>
      userToWire(found(await deps.records.findUser(caller.organization, idParam("user", params)))),
  });
}
