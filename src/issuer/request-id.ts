import type { IncomingMessage } from "node:http";

/** The request's id, which the face put where every part can read it; undefined where nobody gave it one. */
export function requestIdOf({ headers }: IncomingMessage): string | undefined {
  const id = headers["x-request-id"];
  return typeof id === "string" ? id : undefined;
}
