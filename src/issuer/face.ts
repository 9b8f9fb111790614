import type { IncomingMessage, ServerResponse } from "node:http";
import { errors } from "oidc-provider";
import { errorTable } from "../domain/error-table.ts";
import { failureReasonOf } from "./assertion-failure.ts";
import { type AttestedClients, createAttestedClients } from "./attested-clients.ts";
import { introspectionPath, revocationPath } from "./introspection.ts";
import type { IssuerDeps, TokenKeys } from "./issuer-deps.ts";
import { createProvider, retryAfterSeconds } from "./provider.ts";
import { presentBody } from "./provider-seam.ts";
import { pushPath, usePushed } from "./pushed-request.ts";
import { readForm } from "./read-form.ts";
import { requestIdOf } from "./request-id.ts";

/** The issuer's HTTP endpoints, to be dispatched before any other router, by a front that gave each request its id. */
export interface IssuerFace {
  /** Whether a request to this path (without query) is for `handle`. */
  readonly owns: (path: string) => boolean;
  /** Answers a request, and never throws. A path that it does not own is answered 404. */
  readonly handle: (req: IncomingMessage, res: ServerResponse) => void;
  /** Signs with these keys from the next request on; requests under way finish with the ones they began with. */
  readonly rotate: (keys: TokenKeys) => void;
}

type Handler = (req: IncomingMessage, res: ServerResponse) => Promise<void>;

const reading = ["GET", "HEAD", "OPTIONS"] as const;

/** Each path with the methods that it answers. One spelling each: the library's router would take others too. */
const methodsOf: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ["/.well-known/openid-configuration", reading],
  ["/.well-known/oauth-authorization-server", reading],
  ["/jwks", reading],
  ["/token", ["POST", "OPTIONS"]],
  [introspectionPath, ["POST"]],
  [revocationPath, ["POST"]],
  [pushPath, ["POST", "OPTIONS"]],
  ["/auth", ["GET", "POST"]],
]);

/** Makes the face with the keys that are active now. */
export function createIssuerFace(deps: IssuerDeps): IssuerFace {
  let current: Handler;
  const attested = createAttestedClients(deps);
  const rotate = (keys: TokenKeys): void => {
    current = createProvider(deps, keys, attested).callback();
  };
  rotate(deps.tokenKeys());

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const refusal = await refusalOf(deps, attested, req);
    if (refusal === "aborted") return;
    if (refusal === undefined) return current(req, res);
    const { status, error, detail } = refusal;
    if (!refusal.isTold) deps.onRefused({ ...placeOf(req), status, error, detail });
    tell(res, refusal);
  }

  return {
    rotate,
    owns: (path) => methodsOf.has(path),
    handle(req, res) {
      answer(req, res).catch((error: unknown) => {
        deps.onUnexpectedError(error, placeOf(req));
        if (!res.headersSent)
          tell(res, { status: 500, error: "server_error", detail: "something failed inside" });
      });
    },
  };
}

function placeOf(req: IncomingMessage) {
  const path = pathOf(req);
  return {
    requestId: requestIdOf(req),
    endpoint: methodsOf.has(path) ? path : "other",
  };
}

function pathOf(req: IncomingMessage): string {
  return (req.url ?? "").split("?", 1)[0] ?? "";
}

/** What is answered in the library's place. */
interface Refusal {
  readonly status: number;
  readonly error: string;
  readonly detail: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether the log has it already. */
  readonly isTold?: true;
  /** RFC 9207: who refuses an authorization request. */
  readonly iss?: string;
}

/** Why the library is not to see a request, once its form is read. */
async function refusalOf(
  deps: IssuerDeps,
  attested: AttestedClients,
  req: IncomingMessage,
): Promise<Refusal | "aborted" | undefined> {
  const path = pathOf(req);
  const refusal = misdirected(req, path);
  if (refusal !== undefined) return refusal;
  const form = req.method === "POST" ? await takeForm(req) : undefined;
  if (form !== undefined && !Buffer.isBuffer(form)) return form;
  if (path === "/auth")
    return refuseSignIn(deps, form?.toString("latin1") ?? (req.url ?? "").slice(path.length + 1));
  if (form === undefined) return undefined;
  try {
    presentBody(req, await attested.read(req, path, form));
    return undefined;
  } catch (error) {
    if (!(error instanceof errors.OIDCProviderError)) throw error;
    return notAuthenticated(deps, req, error);
  }
}

/** Told as the library tells of a client that it could not authenticate: nothing of why. */
function notAuthenticated(deps: IssuerDeps, req: IncomingMessage, thrown: errors.OIDCProviderError): Refusal {
  const { statusCode: status, error, error_description, error_detail, cause } = thrown;
  const told = {
    status,
    error,
    detail: error_description ?? "client authentication failed",
    isTold: true,
  } as const;
  const logged = { ...placeOf(req), status, error, detail: error_detail ?? told.detail, cause };
  const reason = failureReasonOf(cause);
  if (reason !== undefined) deps.onAuthenticationFailure({ ...logged, reason });
  else if (error === "invalid_client" || error === "invalid_dpop_proof")
    deps.onAuthenticationFailure({ ...logged, reason: error });
  else deps.onRefused(logged);
  return status === 503 ? { ...told, headers: { "Retry-After": String(retryAfterSeconds) } } : told;
}

function misdirected(req: IncomingMessage, path: string): Refusal | undefined {
  const methods = methodsOf.get(path);
  if (methods === undefined)
    return { status: 404, error: "invalid_request", detail: "there is no such endpoint" };
  if (!methods.includes(req.method ?? "")) {
    const detail = `${path} does not answer ${req.method}`;
    return { status: 405, error: "invalid_request", detail, headers: { Allow: methods.join(", ") } };
  }
  return undefined;
}

/**
 * Nobody can sign in yet, so no client may ask for a code, and all are told so alike: an answer that depended on the
 * client would tell which there are. A request that was pushed is used up none the less. RFC 6749, section 4.1.2.1: without
 * a registered redirect URI, nobody is sent on.
 */
async function refuseSignIn(deps: IssuerDeps, parameters: string): Promise<Refusal> {
  const iss = deps.issuer;
  try {
    if ((await usePushed(deps, new URLSearchParams(parameters))) === "unusable") {
      const detail = "request_uri is none that this client pushed within a minute, or it was used before";
      return { status: 400, error: "invalid_request_uri", detail, iss };
    }
  } catch (error) {
    if (!(error instanceof errors.OIDCProviderError)) throw error;
    const { statusCode: status, error_description: detail = "" } = error;
    return { status, error: error.error, detail, headers: { "Retry-After": String(retryAfterSeconds) }, iss };
  }
  const detail = "no client may use this endpoint: nobody can sign in here yet";
  return { status: 400, error: "unauthorized_client", detail, iss };
}

/** Reads the form of a request, unless it is none. */
async function takeForm(req: IncomingMessage): Promise<Buffer | Refusal | "aborted"> {
  const form = await readForm(req);
  if (Buffer.isBuffer(form) || form === "aborted") return form;
  if (form === "malformed") {
    const detail = "the body is no form of application/x-www-form-urlencoded, or a value in it is too long";
    return { status: 400, error: "invalid_request", detail };
  }
  const { status, oauthError } = errorTable.payload_too_large;
  // What is still to come is read by nobody.
  req.resume();
  return { status, error: oauthError, detail: "the body is too large", headers: { Connection: "close" } };
}

/** RFC 6749, section 5.2. */
function tell(res: ServerResponse, { status, error, detail, headers, iss }: Refusal): void {
  const body = JSON.stringify({ error, error_description: detail, iss });
  res.writeHead(status, {
    ...headers,
    "Content-Type": "application/json; charset=utf-8",
    "Content-Length": Buffer.byteLength(body),
    "Cache-Control": "no-store",
  });
  res.end(body);
}
