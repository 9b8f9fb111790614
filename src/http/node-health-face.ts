import type { RequestListener, ServerResponse } from "node:http";
import type { Metrics } from "./metrics.ts";

export interface NodeHealthDeps {
  readonly metrics: Pick<Metrics, "render">;
  /** How the node is; `unready` while it can give out nothing. */
  readonly health: () => {
    readonly status: "ok" | "degraded" | "unready";
    readonly checks: readonly unknown[];
  };
}

/**
 * What a node tells of itself, as the server does: `/healthz`: the process runs. `/readyz`: it can give out SVIDs, else 503
 * with what is missing. `/metrics`: Prometheus.
 */
export function createNodeHealthFace({ metrics, health }: NodeHealthDeps): RequestListener {
  async function answer(path: string, response: ServerResponse): Promise<void> {
    if (path === "/healthz") return answerJson(response, 200, { status: "ok" });
    if (path === "/readyz") {
      const found = health();
      if (found.status === "unready") response.setHeader("retry-after", "2");
      return answerJson(response, found.status === "unready" ? 503 : 200, found);
    }
    if (path !== "/metrics") return void response.writeHead(404).end();
    const { contentType, text } = await metrics.render();
    response.writeHead(200, { "content-type": contentType }).end(text);
  }
  return ({ method, url = "" }, response) => {
    if (method !== "GET" && method !== "HEAD")
      return void response.writeHead(405, { allow: "GET, HEAD" }).end();
    const [path = ""] = url.split("?");
    answer(path, response).catch(() => response.destroy());
  };
}

function answerJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(JSON.stringify(body));
}
