import {
  createTrustedIssuer,
  deleteTrustedIssuer,
  getTrustedIssuer,
  listSubjectMappings,
  listTrustedIssuers,
  mapSubject,
  type mapSubjectRequestSchema,
  unmapSubject,
} from "@countersign/sdk/contract/trusted-issuers";
import type { Router } from "express";
import type { z } from "zod";
import type { MappedTo } from "../../domain/trusted-issuer.ts";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount, mountThing } from "../endpoint.ts";
import { found } from "../found.ts";
import { pageAfter, pageOf } from "../page.ts";
import { subjectMappingToWire, trustedIssuerToWire } from "../wire.ts";

/** `/v1/trusted-issuers`: who else may say which workload asks, and whom it then is. */
export function mountTrustedIssuers(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, createTrustedIssuer, async ({ caller, context, body }) => {
    const made = await deps.journeys.createTrustedIssuer({
      caller,
      context,
      issuer: body.issuer,
      kind: body.kind,
      audience: body.audience,
      jwks: body.jwks && JSON.stringify(body.jwks),
      tenant: body.tenant_claim,
      maxAgeSeconds: body.max_age_seconds,
      algorithms: body.algorithms,
      maxAgents: body.max_agents,
      checksumClaims: body.checksum_claims,
    });
    return { ...trustedIssuerToWire(made), ledger: made.ledger };
  });
  mount(router, deps, listTrustedIssuers, async ({ caller, query }) => {
    const issuers = await deps.records.listTrustedIssuers(caller.organization, pageAfter(query));
    return pageOf(query, issuers.map(trustedIssuerToWire));
  });
  mountThing(router, deps, getTrustedIssuer, async ({ caller, params }) => {
    const issuer = found(await deps.records.findTrustedIssuer(caller.organization, params.id));
    return { seen: { on: "trusted_issuer", ...issuer }, answer: trustedIssuerToWire(issuer) };
  });
  mount(router, deps, deleteTrustedIssuer, async ({ caller, context, params }) => {
    const ended = await deps.journeys.distrustIssuer({ caller, context, issuer: params.id });
    return { ...trustedIssuerToWire(ended), ledger: ended.ledger };
  });
  mountSubjects(router, deps);
}

function mountSubjects(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, mapSubject, async ({ caller, context, params, body }) => {
    const subject = "subject" in body ? body.subject : undefined;
    const request = { caller, context, issuer: params.id, subject, claims: body.claims, to: mappedTo(body) };
    const made = await deps.journeys.mapSubject(request);
    return { ...subjectMappingToWire(made), ledger: made.ledger };
  });
  mount(router, deps, listSubjectMappings, async ({ caller, params, query }) => {
    found(await deps.records.findTrustedIssuer(caller.organization, params.id));
    const page = { ...pageAfter(query), issuer: params.id };
    const mappings = await deps.records.listSubjectMappings(caller.organization, page);
    return pageOf(query, mappings.map(subjectMappingToWire));
  });
  mount(router, deps, unmapSubject, async ({ caller, context, params }) => {
    const { id: issuer, mapping } = params;
    const ended = await deps.journeys.unmapSubject({ caller, context, issuer, mapping });
    return { ...subjectMappingToWire(ended), agents_cut_off: ended.agentsCutOff, ledger: ended.ledger };
  });
}

function mappedTo(body: z.output<typeof mapSubjectRequestSchema>): MappedTo {
  if ("agent" in body) return { agent: body.agent };
  if ("user" in body) return { user: body.user };
  const { owner, kind, name_prefix: namePrefix } = body.provision;
  return { owner, kind, namePrefix };
}
