import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type PresentedCertificates, readsCertificates } from "./client-certificate.ts";
import { admitOnly, believeOnly } from "./trusted-proxies.ts";

/** PEM texts of a certificate, its chain, and its key. */
export interface TlsCertificate {
  readonly cert: string;
  readonly key: string;
}

export interface HttpServerOptions {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  /** PEM texts; without them the server speaks plain http. */
  readonly tls?: TlsCertificate;
  /** Whether clients are asked for a certificate in the handshake. They may have none; who issued theirs is not looked at. */
  readonly asksForCertificate?: boolean;
  /** Where they are kept for whoever asks about a request. */
  readonly certificates: PresentedCertificates;
  /**
   * Addresses and CIDR ranges of proxies that end TLS in front of the server: their forwarded headers count, and plain
   * http is accepted from them, beside loopback.
   */
  readonly trustedProxies?: readonly string[];
  /** Whether the `Client-Cert` header of one that is on this very machine counts; default: it is refused. */
  readonly believesLocalClientCert?: boolean;
}

export interface HttpServer {
  /** The port that it listens on. */
  readonly port: number;
  /** Shows this certificate from the next handshake on. @throws Error, and goes on as before, when it is none or not of the key */
  renew(certificate: TlsCertificate): void;
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
const localProxy =
  "Client-Cert of a proxy on the server's own machine takes COUNTERSIGN_LOOPBACK_CLIENT_CERT=allow\n";
const minVersion = "TLSv1.2";

/** Starts to listen. @throws what Node throws when the address can't be had (`EADDRINUSE`, `EACCES`) */
export async function startHttpServer(
  listener: RequestListener,
  options: HttpServerOptions,
): Promise<HttpServer> {
  const state = { draining: false };
  const proxies = options.trustedProxies ?? [];
  const dropForgedHeaders = believeOnly(proxies);
  const readCertificate = readsCertificates({
    proxies,
    allowsLocal: options.believesLocalClientCert ?? false,
  });
  const underWay = new Set<ServerResponse>();
  const answer: RequestListener = (request, response) => {
    underWay.add(response);
    response.once("close", () => underWay.delete(response));
    // Else a busy client keeps its connection, and with it the server, alive.
    if (state.draining) response.setHeader("connection", "close");
    dropForgedHeaders(request);
    const certificate = readCertificate(request);
    // To go on without it would take the client for one that presented none.
    if (certificate === "malformed" || certificate === "local") {
      response.writeHead(400).end(certificate === "local" ? localProxy : undefined);
      return;
    }
    if (certificate !== undefined) options.certificates.keep(request, certificate);
    listener(request, response);
  };
  const tls = options.tls && createTlsServer({ ...limits, ...tlsOptions(options), ...options.tls }, answer);
  const server = tls ?? createServer(limits, answer);
  server.maxHeadersCount = headersMax;
  if (tls === undefined) server.on("connection", admitOnly(proxies));
  await listen(server, options);
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : options.port,
    renew: (certificate) => tls?.setSecureContext({ ...certificate, minVersion }),
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

/** A certificate is bound to its key by the handshake, not by who signed it: RFC 8705, section 2.2. */
function tlsOptions({ asksForCertificate = false }: HttpServerOptions) {
  return { minVersion, requestCert: asksForCertificate, rejectUnauthorized: false } as const;
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
