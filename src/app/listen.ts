import { readFile } from "node:fs/promises";
import type { IncomingMessage, RequestListener } from "node:http";
import type { Logger } from "pino";
import { type Config, portOf } from "../config.ts";
import type { PresentedCertificates } from "../http/client-certificate.ts";
import {
  type HttpServer,
  type HttpServerOptions,
  startHttpServer,
  type TlsCertificate,
} from "../http/http-server.ts";
import type { MutualTls } from "../issuer/issuer-deps.ts";
import type { Background } from "./background.ts";
import type { Closing } from "./closing.ts";
import type { ServerSvid } from "./server-svid.ts";

export interface ListenDeps {
  readonly logger: Logger;
  readonly closing: Closing;
  readonly every: Background["every"];
  readonly certificates: PresentedCertificates;
  readonly serverSvid: () => Promise<ServerSvid>;
}

const drainMs = 10_000;
const renewEveryMs = 5_000;

/**
 * Starts to listen: at the server's port, and at the one that asks for certificates where there is one. Whatever renews the
 * certificate's files need not tell: they are read again every 5 s.
 *
 * @returns the server's port
 * @throws what Node throws when an address can't be had or a file can't be read
 */
export async function listen(
  { logger, closing, every, certificates, serverSvid }: ListenDeps,
  config: Config,
  issuer: string,
  face: RequestListener,
): Promise<number> {
  const { host, trustedProxies, believesLocalClientCert, mtlsPort } = config;
  const port = config.assumed.includes("port") ? portOf(issuer) : config.port;
  const tls = config.tls && (await readCertificate(config.tls));
  const options = { host, trustedProxies, believesLocalClientCert, certificates, ...(tls && { tls }) };
  const start = async (more: Pick<HttpServerOptions, "port" | "asksForCertificate" | "tls">) => {
    const server = await startHttpServer(face, { ...options, ...more });
    closing.add(() => server.drain(drainMs));
    return server;
  };
  const server = await start({ port });
  const servers = [server];
  if (mtlsPort !== undefined) {
    // Without a certificate for its name it is known by its SVID to who has the trust domain's bundle: nodes, for one.
    const svid = tls === undefined ? await serverSvid() : undefined;
    const own = svid && { tls: svid.certificate() };
    const asking = await start({ port: mtlsPort, asksForCertificate: true, ...own });
    servers.push(asking);
    svid?.onRenewed(asking.renew);
  }
  if (config.tls !== undefined && tls !== undefined) {
    every(renewEveryMs, "certificate renewal", renewsCertificates(logger, servers, config.tls, tls));
  }
  return server.port;
}

/** How clients reach this server with a certificate: at a port of its own, or through a proxy that asks for it. */
export function mutualTlsOf({ mtlsPort, trustedProxies }: Config, issuer: string): MutualTls | undefined {
  if (mtlsPort !== undefined) return { origin: `https://${new URL(issuer).hostname}:${mtlsPort}` };
  return trustedProxies.length > 0 ? { origin: undefined } : undefined;
}

/** Tells under which origin a client sent a request: the port that asks for certificates has one of its own. */
export function tellsOriginAsked(config: Config, issuer: string): (request: IncomingMessage) => string {
  const origin = mutualTlsOf(config, issuer)?.origin ?? issuer;
  return ({ socket }) => (socket.localPort === config.mtlsPort ? origin : issuer);
}

/** Shows what the files hold by now, to be called again and again. */
export function renewsCertificates(
  logger: Logger,
  servers: readonly Pick<HttpServer, "renew">[],
  files: NonNullable<Config["tls"]>,
  first: TlsCertificate,
): () => Promise<void> {
  let shown = first;
  return async () => {
    const read = await readCertificate(files);
    if (read.cert === shown.cert && read.key === shown.key) return;
    for (const server of servers) server.renew(read);
    shown = read;
    logger.info("the certificate was renewed");
  };
}

/** A certificate and its key, from their files. @throws what Node throws when one can't be read */
export async function readCertificate({
  certFile,
  keyFile,
}: NonNullable<Config["tls"]>): Promise<TlsCertificate> {
  const [cert, key] = await Promise.all([readFile(certFile, "utf8"), readFile(keyFile, "utf8")]);
  return { cert, key };
}
