import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";

const legal = /^[A-Za-z0-9._-]{8,64}$/;

/**
 * Gives a request its id: the caller's own `X-Request-ID` where it is a plain word of 8 to 64 characters, else a new
 * one. Every face reads it from the request header; the response carries it too.
 */
export function assignRequestId(
  deps: { randomBytes(count: number): Uint8Array },
  request: IncomingMessage,
  response: ServerResponse,
): string {
  const given = request.headers["x-request-id"];
  const id = typeof given === "string" && legal.test(given) ? given : newRequestId(deps);
  request.headers["x-request-id"] = id;
  response.setHeader("x-request-id", id);
  return id;
}

/** Sends the caller's own `X-Request-ID` back as it came, where a specification wants that; ours names it in the logs. */
export function echoRequestId(request: IncomingMessage, response: ServerResponse): void {
  const at = request.rawHeaders.findIndex((name, place) => place % 2 === 0 && /^x-request-id$/i.test(name));
  const given = request.rawHeaders[at + 1] ?? "";
  if (at !== -1 && /^[\x21-\x7e]{1,256}$/.test(given)) response.setHeader("x-request-id", given);
}

/** The request's id, which the front assigned. */
export function requestIdOf(headers: IncomingHttpHeaders): string {
  const id = headers["x-request-id"];
  return typeof id === "string" ? id : "none";
}

function newRequestId(deps: { randomBytes(count: number): Uint8Array }): string {
  return `req_${Buffer.from(deps.randomBytes(16)).toString("hex")}`;
}
