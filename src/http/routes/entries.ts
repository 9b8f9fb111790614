import { createEntry, deleteEntry, getEntry, listEntries } from "@countersign/sdk/contract/entries";
import { parseSelector } from "@countersign/sdk/model/selector";
import type { Router } from "express";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount, mountThing } from "../endpoint.ts";
import { found } from "../found.ts";
import { pageAfter, pageOf } from "../page.ts";
import { entryToWire } from "../wire.ts";

/** `/v1/entries`: which workloads are which agent. */
export function mountEntries(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, createEntry, async ({ caller, context, body }) => {
    const made = await deps.journeys.createEntry({
      caller,
      context,
      agent: body.agent,
      parent: body.parent,
      selectors: body.selectors,
      x509TtlSeconds: body.x509_ttl_seconds,
      jwtTtlSeconds: body.jwt_ttl_seconds,
      dnsNames: body.dns_names,
      hint: body.hint,
      federatesWith: body.federates_with,
    });
    return { ...entryToWire(made), ledger: made.ledger };
  });
  mount(router, deps, listEntries, async ({ caller, query }) => {
    const { agent, parent, selector: text } = query;
    const selector = text === undefined ? undefined : parseSelector(text);
    // A text that is no selector stands in no entry.
    if (text !== undefined && selector === undefined) return pageOf(query, []);
    const filter = { ...pageAfter(query), agent, parent, selector };
    return pageOf(query, (await deps.records.listEntries(caller.organization, filter)).map(entryToWire));
  });
  mountThing(router, deps, getEntry, async ({ caller, params }) => {
    const entry = found(await deps.records.findEntry(caller.organization, params.id));
    return {
      seen: { on: "registration_entry", id: entry.id, status: entry.status },
      answer: entryToWire(entry),
    };
  });
  mount(router, deps, deleteEntry, async ({ caller, context, params }) => {
    const { ledger, ...entry } = await deps.journeys.deleteEntry({ caller, context, entry: params.id });
    return { ...entryToWire(entry), ledger };
  });
}
