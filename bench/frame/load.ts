import { Agent, request } from "node:http";
import { type CallersRequest, measureCallers } from "./measure.ts";
import type { Figures } from "./row.ts";

/** One HTTP request of a load. Made beforehand where making it costs CPU: the load shares the machine with the server. */
export interface Shot {
  readonly path: string;
  /** A form; without one the request is a GET. */
  readonly form?: string;
  readonly dpop?: string;
}

/** What is shot at whom, and what must come back. */
export interface LoadRequest extends CallersRequest {
  /** Without a trailing slash. */
  readonly origin: string;
  readonly shotOf: (index: number) => Shot;
  /** What every answer holds, besides status 200: an answer that does no work is not measured as one. */
  readonly expected: string;
}

/** Sends requests over kept connections and measures; any other answer ends it with what was answered. */
export async function measureRequests({
  origin,
  shotOf,
  expected,
  ...callers
}: LoadRequest): Promise<Figures> {
  const agent = new Agent({ keepAlive: true, maxSockets: callers.callers });
  try {
    return await measureCallers(async (index) => {
      const shot = shotOf(index);
      const { status, body } = await send(agent, origin, shot);
      if (status !== 200 || !body.includes(expected))
        throw new Error(`${shot.path} answered ${status}: ${body.slice(0, 500)}`);
    }, callers);
  } finally {
    agent.destroy();
  }
}

/** Sends one request. */
export function send(
  agent: Agent,
  origin: string,
  { path, form, dpop }: Shot,
): Promise<{ readonly status: number; readonly body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  const headers = {
    ...(form !== undefined && { "content-type": "application/x-www-form-urlencoded" }),
    ...(dpop !== undefined && { dpop }),
  };
  const method = form === undefined ? "GET" : "POST";
  const sent = request(`${origin}${path}`, { agent, method, headers }, (response) => {
    let body = "";
    response.setEncoding("utf8");
    response.on("data", (text: string) => {
      body += text;
    });
    response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
    response.on("error", reject);
  });
  sent.on("error", reject);
  sent.end(form);
  return promise;
}
