import { faultText, ourWords } from "@countersign/sdk/contract/faults";
import {
  attestedNodeSchema,
  attestNodeRequestSchema,
  nodeBundlesSchema,
  nodeEntriesPerPage,
  nodeEntriesQuerySchema,
  nodeEntriesSchema,
  nodeJwtRequestSchema,
  nodeJwtSchema,
  nodeNonceSchema,
  nodeSvidSchema,
  nodeX509RequestSchema,
  nodeX509Schema,
  renewNodeRequestSchema,
} from "@countersign/sdk/contract/node-face";
import { formatTrustBundle } from "@countersign/sdk/verify/trust-bundle";
import type { Request, RequestHandler, Response, Router } from "express";
import type { z } from "zod";
import { base64Of, bytesOf } from "../../domain/base64.ts";
import { DomainError } from "../../domain/domain-error.ts";
import type { Node } from "../../domain/node.ts";
import type { KnownNode, NodeUse } from "../../journeys/node/authenticate.ts";
import type { NodeX509Svid } from "../../journeys/node/node-svid.ts";
import type { RequestContext } from "../../journeys/record/record.ts";
import type { X509SvidOutcome } from "../../journeys/svid/issue-x509.ts";
import type { CertificatePath } from "../client-certificate.ts";
import { jsonBody } from "../json-body.ts";
import type { NodeEntry, NodeFaceDeps } from "../node-deps.ts";
import { streamChanges } from "../node-stream.ts";
import { requestIdOf } from "../request-id.ts";
import { toWire } from "../wire.ts";

const readBody = jsonBody();

/**
 * `/v1/node`: what a node asks of its server, authenticated by its X.509-SVID in the handshake. Only who has none yet asks
 * without: for a nonce, and to be attested.
 */
export function mountNode(router: Router, deps: NodeFaceDeps): void {
  mountJoining(router, deps);
  mountServing(router, deps);
}

function mountJoining(router: Router, deps: NodeFaceDeps): void {
  router.post("/v1/node/nonce", (_request, response) => {
    const { nonce, expiresAtMs } = deps.nodes.nonce();
    answer(response, nodeNonceSchema, { nonce, expires_at: timeOf(expiresAtMs) });
  });
  // Before its evidence is used up: at such a port it could become a node, but never be known as one.
  router.post("/v1/node/attest", readBody, async (request, response) => {
    demandPath(deps, request);
    const { evidence, public_key } = readSent(attestNodeRequestSchema, request.body);
    const asked = { evidence, publicKey: bytesOf(public_key), context: contextOf(request) };
    const { node, svid } = await deps.nodes.attest(asked);
    const wire = await svidToWire(deps, node, svid);
    answer(response, attestedNodeSchema, { ...wire, node: node.id });
  });
  router.post("/v1/node/renew", forNode(deps, renewSvid, "renewal"));
}

function mountServing(router: Router, deps: NodeFaceDeps): void {
  router.get(
    "/v1/node/entries",
    forNode(deps, async ({ node, request, response }) => {
      const { since, cursor } = readSent(nodeEntriesQuerySchema, request.query);
      const page = await deps.nodes.listEntries(node, { since, after: cursor, limit: nodeEntriesPerPage });
      const { asOf, items, ended, next } = page;
      answer(response, nodeEntriesSchema, { as_of: asOf, items: items.map(entryToWire), ended, next });
    }),
  );
  router.post("/v1/node/x509-svids", forNode(deps, issueX509Svids));
  router.post(
    "/v1/node/jwt-svids",
    forNode(deps, async ({ node, shown, request, response, context }) => {
      const { entry, checksum, audience } = readSent(nodeJwtRequestSchema, request.body);
      const svid = await deps.nodes.issueJwt({ node, shown, entry, checksum, audience, context });
      const { spiffeId, token, expiresAtMs, restsOn } = svid;
      const wire = { spiffe_id: spiffeId, token, expires_at: timeOf(expiresAtMs), rests_on: restsOn };
      answer(response, nodeJwtSchema, wire);
    }),
  );
  router.get(
    "/v1/node/bundles",
    forNode(deps, async ({ node, response }) => {
      answer(response, nodeBundlesSchema, await bundlesToWire(deps, node));
    }),
  );
  router.get(
    "/v1/node/changes",
    forNode(deps, async ({ node, request, response }) =>
      streamChanges(deps, { node, certificate: deps.certificateOf(request) }, response),
    ),
  );
}

interface NodeCall extends KnownNode {
  readonly deps: NodeFaceDeps;
  readonly request: Request;
  readonly response: Response;
  readonly context: RequestContext;
}

/** Authenticates the node before its body is read. */
function forNode(
  deps: NodeFaceDeps,
  handle: (call: NodeCall) => Promise<void>,
  use: NodeUse = "serving",
): RequestHandler {
  return async (request, response) => {
    const context = contextOf(request);
    const certificate = deps.certificateOf(request);
    // That none came this way says nothing of the node, which would take `unauthenticated` for its end.
    if (certificate === undefined) demandPassedOn(deps, request);
    const known = await deps.nodes.authenticate(certificate, context, use);
    await new Promise<void>((resolve, reject) => {
      readBody(request, response, (error?: unknown) => (error === undefined ? resolve() : reject(error)));
    });
    await handle({ deps, ...known, request, response, context });
  };
}

/** @throws DomainError `invalid_request` where no certificate can come */
function demandPath({ certificatePathOf }: NodeFaceDeps, request: Request): CertificatePath {
  const path = certificatePathOf(request);
  if (path !== undefined) return path;
  const detail = "this port does not ask for certificates; use the server's COUNTERSIGN_MTLS_PORT";
  throw new DomainError("invalid_request", detail);
}

/** @throws DomainError `invalid_request` where none came that may have been shown */
function demandPassedOn(deps: NodeFaceDeps, request: Request): void {
  if (demandPath(deps, request) === "handshake") return;
  const detail = "the proxy passed no certificate on: it has to ask for one, and send it as Client-Cert";
  throw new DomainError("invalid_request", detail);
}

async function renewSvid({ deps, node, shown, request, response, context }: NodeCall): Promise<void> {
  const { public_key } = readSent(renewNodeRequestSchema, request.body);
  const svid = await deps.nodes.renew({ node, shown, publicKey: bytesOf(public_key), context });
  answer(response, nodeSvidSchema, await svidToWire(deps, node, svid));
}

/** That one is refused is no reason to refuse the others. */
async function issueX509Svids({ deps, node, shown, request, response, context }: NodeCall): Promise<void> {
  const { items } = readSent(nodeX509RequestSchema, request.body);
  const asked = items.map(({ entry, checksum, public_key }) => ({
    entry,
    checksum,
    publicKey: bytesOf(public_key),
  }));
  const outcomes = await deps.nodes.issueX509({ node, shown, items: asked, context });
  answer(response, nodeX509Schema, {
    items: outcomes.map((outcome, place) => ({ entry: items[place]?.entry, ...outcomeToWire(outcome) })),
  });
}

function outcomeToWire(outcome: X509SvidOutcome) {
  if ("refused" in outcome) return { refused: outcome.refused.code };
  const { certificates, expiresAtMs, restsOn } = outcome.issued;
  return {
    svid: { certificates: certificates.map(base64Of), expires_at: timeOf(expiresAtMs), rests_on: restsOn },
  };
}

async function svidToWire(deps: NodeFaceDeps, node: Node, { certificates, expiresAtMs }: NodeX509Svid) {
  return {
    spiffe_id: deps.nodes.spiffeIdOf(node),
    certificates: certificates.map(base64Of),
    expires_at: timeOf(expiresAtMs),
    bundles: await bundlesToWire(deps, node),
  };
}

async function bundlesToWire({ nodes }: NodeFaceDeps, node: Node) {
  const bundles = await nodes.bundles(node);
  return {
    issuer: nodes.issuer,
    items: bundles.map(({ bundle, untilMs }) => ({
      trust_domain: bundle.trustDomain,
      bundle: formatTrustBundle(bundle),
      ...(untilMs !== undefined && { believed_until: timeOf(untilMs) }),
    })),
  };
}

function entryToWire({ entry, standing }: NodeEntry) {
  return {
    id: entry.id,
    agent: entry.agent,
    spiffe_id: entry.spiffeId,
    selectors: entry.selectors,
    x509_ttl_seconds: entry.x509TtlSeconds,
    jwt_ttl_seconds: entry.jwtTtlSeconds,
    dns_names: entry.dnsNames,
    hint: entry.hint,
    federates_with: entry.federatesWith,
    standing,
  };
}

function answer<Wire>(response: Response, schema: z.ZodType<Wire>, value: unknown): void {
  response.type("json").send(JSON.stringify(toWire(schema, value)));
}

function readSent<Value>(schema: z.ZodType<Value>, value: unknown): Value {
  const result = schema.safeParse(value, { error: ourWords });
  if (result.success) return result.data;
  throw new DomainError("invalid_request", faultText(result.error), result.error);
}

function contextOf(request: Request): RequestContext {
  return { requestId: requestIdOf(request.headers) };
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
