import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { admitOnly, believeOnly } from "./trusted-proxies.ts";

export interface HttpServerOptions {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  /** PEM texts; without them the server speaks plain http. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /**
   * Addresses and CIDR ranges of proxies that end TLS in front of the server: their forwarded headers count, and plain
   * http is accepted from them, beside loopback.
   */
  readonly trustedProxies?: readonly string[];
}

export interface HttpServer {
  /** The port that it listens on. */
  readonly port: number;
  /**
   * Stops accepting, lets requests in flight finish, closes idle connections, and cuts what is left at the deadline.
   * Answers when no connection is left.
   */
  drain(deadlineMs: number): Promise<void>;
}

const limits = {
  // A client that trickles its request would hold a connection for ever.
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 5_000,
  maxHeaderSize: 16 * 1024,
} as const;
const headersMax = 100;

/** Starts to listen. @throws what Node throws when the address can't be had (`EADDRINUSE`, `EACCES`) */
export async function startHttpServer(
  listener: RequestListener,
  options: HttpServerOptions,
): Promise<HttpServer> {
  const state = { draining: false };
  const proxies = options.trustedProxies ?? [];
  const dropForgedHeaders = believeOnly(proxies);
  const underWay = new Set<ServerResponse>();
  const answer: RequestListener = (request, response) => {
    underWay.add(response);
    response.once("close", () => underWay.delete(response));
    // Else a busy client keeps its connection, and with it the server, alive.
    if (state.draining) response.setHeader("connection", "close");
    dropForgedHeaders(request);
    listener(request, response);
  };
  const server = options.tls
    ? createTlsServer({ ...limits, ...options.tls }, answer)
    : createServer(limits, answer);
  server.maxHeadersCount = headersMax;
  if (options.tls === undefined) server.on("connection", admitOnly(proxies));
  await listen(server, options);
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : options.port,
    async drain(deadlineMs) {
      state.draining = true;
      for (const response of underWay) if (!response.headersSent) response.setHeader("connection", "close");
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const deadline = setTimeout(() => server.closeAllConnections(), deadlineMs);
      await closed;
      clearTimeout(deadline);
    },
  };
}

function listen(server: Server, { host, port }: HttpServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
