import { Agent, request } from "node:http";
import { type CallersRequest, measureCallers } from "./measure.ts";
import type { Figures } from "./row.ts";

/** One HTTP request of a load. Made beforehand where making it costs CPU: the load shares the machine with the server. */
export interface Shot {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A form, or JSON text; without either the request is a GET. */
  readonly form?: string;
  readonly json?: string;
}

/** What is shot at whom, and what must come back. */
export interface LoadRequest extends CallersRequest {
  /** Without a trailing slash. */
  readonly origin: string;
  readonly shotOf: (index: number) => Shot;
  /** What every answer of success holds: one that does no work is not measured as one. */
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
      if (status >= 300 || !body.includes(expected))
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
  { path, headers: own = {}, form, json }: Shot,
): Promise<{ readonly status: number; readonly body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  const headers = {
    ...own,
    ...(form !== undefined && { "content-type": "application/x-www-form-urlencoded" }),
    ...(json !== undefined && { "content-type": "application/json" }),
  };
  const body = form ?? json;
  const method = body === undefined ? "GET" : "POST";
  const sent = request(`${origin}${path}`, { agent, method, headers }, (response) => {
    let answer = "";
    response.setEncoding("utf8");
    response.on("data", (text: string) => {
      answer += text;
    });
    response.on("end", () => resolve({ status: response.statusCode ?? 0, body: answer }));
    response.on("error", reject);
  });
  sent.on("error", reject);
  sent.end(body);
  return promise;
}
