import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type ServerOptions } from "node:https";
import type { AddressInfo } from "node:net";

export interface TestKubelet {
  readonly port: number;
  /** What was asked, each as `METHOD path`. */
  readonly asked: readonly string[];
  readonly close: () => void;
}

export interface TestKubeletOptions {
  /** With it, only who sends it is answered. */
  readonly token?: string;
  readonly tls?: ServerOptions;
  /** In place of the list of pods. */
  readonly answer?: (response: ServerResponse) => void;
  readonly pods?: () => unknown;
}

/** Answers `GET /pods` as a kubelet does: 401 without its token, 404 elsewhere, 405 for what is no read, else a v1.PodList. */
export async function startKubelet({ token, tls, answer, pods }: TestKubeletOptions): Promise<TestKubelet> {
  const asked: string[] = [];
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    asked.push(`${request.method} ${request.url}`);
    const refuse = (status: number) => response.writeHead(status).end("no");
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`) return refuse(401);
    if (request.url !== "/pods") return refuse(404);
    if (request.method !== "GET") return refuse(405);
    if (answer !== undefined) return answer(response);
    response.writeHead(200, { "content-type": "application/json" });
    return response.end(
      JSON.stringify({ kind: "PodList", apiVersion: "v1", metadata: {}, items: pods?.() ?? null }),
    );
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { port, asked, close };
}
