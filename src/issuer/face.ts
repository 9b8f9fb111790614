import type { IncomingMessage, ServerResponse } from "node:http";
import { errorTable } from "../domain/error-table.ts";
import { introspectionPath, revocationPath } from "./introspection.ts";
import type { IssuerDeps, TokenKeys } from "./issuer-deps.ts";
import { createProvider } from "./provider.ts";
import { presentBody } from "./provider-seam.ts";
import { readForm } from "./read-form.ts";

/** The issuer's HTTP endpoints, to be dispatched before any other router. */
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
  ["/auth", ["GET", "POST"]],
]);

/** Makes the face with the keys that are active now. */
export function createIssuerFace(deps: IssuerDeps): IssuerFace {
  let current: Handler;
  const rotate = (keys: TokenKeys): void => {
    current = createProvider(deps, keys).callback();
  };
  rotate(deps.tokenKeys());

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = pathOf(req);
    const methods = methodsOf.get(path);
    if (methods === undefined) return tell(res, 404, "invalid_request", "there is no such endpoint");
    if (!methods.includes(req.method ?? "")) {
      res.setHeader("Allow", methods.join(", "));
      return tell(res, 405, "invalid_request", `${path} does not answer ${req.method}`);
    }
    if (path === "/auth") return refuseAuthorization(deps, res);
    if (req.method === "POST" && !(await admitForm(req, res))) return;
    await current(req, res);
  }

  return {
    rotate,
    owns: (path) => methodsOf.has(path),
    handle(req, res) {
      const requestId = adoptRequestId(deps, req);
      res.setHeader("X-Request-ID", requestId);
      answer(req, res).catch((error: unknown) => {
        deps.onUnexpectedError(error, {
          endpoint: methodsOf.has(pathOf(req)) ? pathOf(req) : "other",
          requestId,
        });
        if (!res.headersSent) tell(res, 500, "server_error", "something failed inside");
      });
    },
  };
}

function pathOf(req: IncomingMessage): string {
  return (req.url ?? "").split("?", 1)[0] ?? "";
}

/** Takes the caller's id for the request when it is harmless, else makes one; every part reads it from the header. */
function adoptRequestId(deps: IssuerDeps, req: IncomingMessage): string {
  const sent = req.headers["x-request-id"];
  const requestId =
    typeof sent === "string" && /^[A-Za-z0-9._-]{1,64}$/.test(sent)
      ? sent
      : Buffer.from(deps.randomBytes(16)).toString("base64url");
  req.headers["x-request-id"] = requestId;
  return requestId;
}

/** Whether the library shall see this request; if not, it is answered. */
async function admitForm(req: IncomingMessage, res: ServerResponse): Promise<boolean> {
  const form = await readForm(req);
  if (typeof form !== "string") {
    presentBody(req, form);
    return true;
  }
  if (form === "too_large") {
    const { status, oauthError } = errorTable.payload_too_large;
    // What is still to come is read by nobody.
    res.setHeader("Connection", "close");
    req.resume();
    tell(res, status, oauthError, "the body is too large");
  } else if (form === "malformed") {
    tell(res, 400, "invalid_request", "the body is not a form as application/x-www-form-urlencoded has it");
  }
  return false;
}

/**
 * Nobody can sign in yet, so no client may ask for a code, and all are told so alike: an answer that depended on the
 * client would tell which there are. RFC 6749, section 4.1.2.1: without a registered redirect URI, nobody is sent on.
 */
function refuseAuthorization({ issuer }: IssuerDeps, res: ServerResponse): void {
  tell(res, 400, "unauthorized_client", "no client may use this endpoint: nobody can sign in here yet", {
    iss: issuer,
  });
}

/** RFC 6749, section 5.2. */
function tell(res: ServerResponse, status: number, error: string, description: string, more = {}): void {
  const body = JSON.stringify({ error, error_description: description, ...more });
  res.writeHead(status, {
    "Content-Type": "application/json; charset=utf-8",
    "Content-Length": Buffer.byteLength(body),
    "Cache-Control": "no-store",
  });
  res.end(body);
}
