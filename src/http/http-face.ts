import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  Router,
} from "express";
import type { Logger } from "pino";
import { DomainError } from "../domain/domain-error.ts";
import type { AuthenticationFailure } from "../journeys/authentication/count-failure.ts";
import type { AdminDeps } from "./admin-deps.ts";
import { RefusedRequest } from "./caller.ts";
import { type EndpointDeps, logOf } from "./endpoint.ts";
import type { Metrics } from "./metrics.ts";
import type { NodeFaceDeps } from "./node-deps.ts";
import { assignRequestId, echoRequestId, requestIdOf } from "./request-id.ts";
import type { RevocationStreamDeps } from "./revocation-stream.ts";
import { mountActions } from "./routes/actions.ts";
import { mountAgentConfiguration } from "./routes/agent-configuration.ts";
import { mountAgents } from "./routes/agents.ts";
import { mountAuthzen } from "./routes/authzen.ts";
import { mountClients } from "./routes/clients.ts";
import { mountDelegations } from "./routes/delegations.ts";
import { mountEntries } from "./routes/entries.ts";
import { mountErrorPages } from "./routes/error-pages.ts";
import { mountFederation } from "./routes/federation.ts";
import { type HealthDeps, mountHealth } from "./routes/health.ts";
import { mountKeys } from "./routes/keys.ts";
import { type LogRouteDeps, mountLog } from "./routes/log.ts";
import { mountNode } from "./routes/node.ts";
import { mountNodes } from "./routes/nodes.ts";
import { mountOperators } from "./routes/operators.ts";
import { mountPolicies } from "./routes/policies.ts";
import { mountPolicyProposals } from "./routes/policy-proposals.ts";
import { mountReference, type ReferenceDeps } from "./routes/reference.ts";
import { mountResources } from "./routes/resources.ts";
import { mountRevocations } from "./routes/revocations.ts";
import { mountStatus } from "./routes/status.ts";
import { mountTokens } from "./routes/tokens.ts";
import { mountTrustBundle, type TrustBundleDeps } from "./routes/trust-bundle.ts";
import { mountTrustedIssuers } from "./routes/trusted-issuers.ts";
import { mountUsers } from "./routes/users.ts";
import { domainErrorOf, type ProblemDeps, toProblem } from "./to-problem.ts";

export type HttpFaceDeps = Omit<EndpointDeps, "readings"> &
  AdminDeps &
  LogRouteDeps &
  HealthDeps &
  ProblemDeps &
  ReferenceDeps &
  TrustBundleDeps &
  RevocationStreamDeps &
  NodeFaceDeps & {
    readonly logger: Logger;
    readonly metrics: Metrics;
    /** The OAuth face, and which paths are its own: these never pass through Express. */
    readonly oauth: { handles(path: string): boolean; readonly listener: RequestListener };
    /** Told of every caller of `/v1` and `/log` who could not prove who it is. */
    onAuthenticationFailure(failure: AuthenticationFailure): void;
    randomBytes(count: number): Uint8Array;
  };

/**
 * Everything the server answers over HTTP, as one listener: it names and times each request, hands the OAuth endpoints
 * to their own face, and answers all others itself, errors as problem details.
 */
export function createHttpFace(deps: HttpFaceDeps): RequestListener {
  const app = createApp(deps);
  return (request, response) => {
    const requestId = assignRequestId(deps, request, response);
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    // AuthZEN Authorization API 1.0, section 10
    if (path.startsWith("/access/v1/")) echoRequestId(request, response);
    const isOauth = deps.oauth.handles(path);
    deps.metrics.timeRequest(request.method ?? "", response, () =>
      isOauth ? oauthRouteOf(path) : routeOf(request),
    );
    logWhenDone(deps.logger, request, response, { requestId, path });
    if (isOauth) deps.oauth.listener(request, response);
    else app(request, response);
  };
}

function createApp(deps: HttpFaceDeps): Express {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.set("query parser", "simple");
  app.use(securityHeaders, nextNonce(deps), childLogger(deps.logger));
  app.use(createRouter(deps));
  app.use(() => {
    throw new DomainError("not_found", "nothing is served at this path by this method");
  });
  app.use(renderError(deps));
  return app;
}

/** Every route there is. */
export function createRouter(face: HttpFaceDeps): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const deps = { ...face, readings: new Map() };
  mountHealth(router, deps);
  mountUsers(router, deps);
  mountAgents(router, deps);
  mountAgentConfiguration(router, deps);
  mountResources(router, deps);
  mountClients(router, deps);
  mountTrustedIssuers(router, deps);
  mountOperators(router, deps);
  mountDelegations(router, deps);
  mountTokens(router, deps);
  mountRevocations(router, deps);
  mountActions(router, deps);
  mountEntries(router, deps);
  mountNodes(router, deps);
  mountNode(router, deps);
  mountPolicies(router, deps);
  mountAuthzen(router, deps);
  mountPolicyProposals(router, deps);
  mountFederation(router, deps);
  mountKeys(router, deps);
  mountStatus(router, deps);
  mountLog(router, deps);
  mountTrustBundle(router, deps);
  mountErrorPages(router);
  mountReference(router, deps);
  return router;
}

/** No page of ours runs scripts, is framed, or belongs in a shared cache unless its route says so. */
const securityHeaders: RequestHandler = (_request, response, next) => {
  response.setHeader("cache-control", "no-store");
  response.setHeader("content-security-policy", "default-src 'none'; frame-ancestors 'none'");
  response.setHeader("x-content-type-options", "nosniff");
  response.setHeader("referrer-policy", "no-referrer");
  next();
};

/** Whoever proves a key learns the nonce for the next proof. @see RFC 9449, section 9 */
function nextNonce({ nonces }: HttpFaceDeps): RequestHandler {
  return (request, response, next) => {
    if (request.headers["dpop"] !== undefined) response.setHeader("dpop-nonce", nonces.next());
    next();
  };
}

function childLogger(logger: Logger): RequestHandler {
  return (request, response, next) => {
    response.locals["log"] = logger.child({ request_id: requestIdOf(request.headers) });
    next();
  };
}

function renderError(deps: HttpFaceDeps): ErrorRequestHandler {
  return async (thrown: unknown, request, response, _next) => {
    const error = await recordRefusal(deps, thrown, request).catch((failure: unknown) => failure);
    const { body, headers } = toProblem(deps, error, requestIdOf(request.headers));
    const log = logOf(response, deps.logger);
    if (body.status >= 500) log.error({ err: error, code: body.code }, "request failed");
    else log.info({ code: body.code, detail: domainErrorOf(deps, error).publicDetail }, "request refused");
    if (response.headersSent) {
      // Half an answer must not look like a whole one.
      response.destroy();
      return;
    }
    response.status(body.status).set({ ...headers, "cache-control": "no-store" });
    response.type("application/problem+json").send(JSON.stringify(body));
  };
}

/**
 * Answers with the error to tell. Who can't prove who it is is counted; who is known and lacks the scope, or is refused
 * for what its headers say, has an entry before the answer.
 */
async function recordRefusal(deps: HttpFaceDeps, thrown: unknown, request: Request): Promise<unknown> {
  if (thrown instanceof RefusedRequest) {
    const { code, publicDetail, authenticated } = thrown;
    const endpoint = `${request.method} ${routeOf(request)}`;
    return deps.journeys.refuseRequest({ ...authenticated, code, publicDetail, endpoint });
  }
  const { code } = domainErrorOf(deps, thrown);
  if (code === "unauthenticated" || code === "invalid_token") {
    const reason = thrown instanceof VerificationError ? thrown.code : code;
    deps.onAuthenticationFailure({ reason, endpoint: firstSegmentOf(request.path) });
  }
  return thrown;
}

/** `/auth/…` and its like go on with an id of the interaction: only the first segment is a template. */
function oauthRouteOf(path: string): string {
  return path.startsWith("/.well-known/") ? path : firstSegmentOf(path);
}

function firstSegmentOf(path: string): string {
  return `/${path.split("/")[1] ?? ""}`;
}

/** The route's template, once Express has found it; all that matches none is one. */
function routeOf(request: IncomingMessage & { route?: { path?: unknown } }): string {
  return typeof request.route?.path === "string" ? request.route.path : "none";
}

function logWhenDone(
  logger: Logger,
  request: IncomingMessage,
  response: ServerResponse,
  about: { readonly requestId: string; readonly path: string },
): void {
  if (!logger.isLevelEnabled("debug")) return;
  const startedMs = performance.now();
  response.once("close", () => {
    const tookMs = Math.round((performance.now() - startedMs) * 10) / 10;
    const { requestId, path } = about;
    const { statusCode: status, writableFinished: finished } = response;
    logger.debug(
      { request_id: requestId, method: request.method, path, status, took_ms: tookMs, finished },
      "answered",
    );
  });
}
