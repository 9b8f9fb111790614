import { createUser, getUser, getUserReach, listUsers, offboardUser } from "@countersign/sdk/contract/users";
import type { Router } from "express";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount, mountThing } from "../endpoint.ts";
import { found } from "../found.ts";
import { pageAfter, pageOf } from "../page.ts";
import { reachNowToWire, receiptToWire, userToWire } from "../wire.ts";

/** `/v1/users`: the people who own agents and resources. */
export function mountUsers(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, createUser, async ({ caller, context, body: { name, email } }) => {
    const made = await deps.journeys.createUser({
      caller,
      context,
      name,
      ...(email !== undefined && { email }),
    });
    return { ...userToWire(made), ledger: made.ledger };
  });
  mount(router, deps, listUsers, async ({ caller, query }) => {
    const users = await deps.records.listUsers(caller.organization, pageAfter(query));
    return pageOf(query, users.map(userToWire));
  });
  mountThing(router, deps, getUser, async ({ caller, params }) => {
    const user = found(await deps.records.findUser(caller.organization, params.id));
    return { seen: { on: "user", ...user }, answer: userToWire(user) };
  });
  mount(router, deps, offboardUser, async ({ caller, context, params }) =>
    receiptToWire(await deps.journeys.offboardUser({ caller, context, user: params.id })),
  );
  mount(router, deps, getUserReach, async ({ caller: { organization }, params: { id } }) => {
    found(await deps.records.findUser(organization, id));
    return reachNowToWire(await deps.records.reachNow({ organization, kind: "user", id }));
  });
}
