import type { Logger } from "pino";
import type { Config } from "../config.ts";
import { createBundleFace } from "../http/bundle-face.ts";
import { createPresentedCertificates } from "../http/client-certificate.ts";
import { startHttpServer } from "../http/http-server.ts";
import type { Background } from "./background.ts";
import type { Closing } from "./closing.ts";
import { readCertificate, renewsCertificates } from "./listen.ts";
import type { OpenLedger } from "./open-ledger.ts";
import type { ServerSvid } from "./server-svid.ts";

export interface ServeBundleDeps {
  readonly logger: Logger;
  readonly closing: Closing;
  readonly every: Background["every"];
  readonly ledger: OpenLedger;
  readonly serverSvid: () => Promise<ServerSvid>;
}

const drainMs = 10_000;
const renewEveryMs = 5_000;

/**
 * Serves the trust bundle, and nothing else, at a port of its own where there is one: under the server's certificate
 * (`https_web`), or without one under the server's own SVID (`https_spiffe`).
 *
 * @throws what Node throws when the address can't be had or a file can't be read
 * @see SPIFFE Federation, section 5.2
 */
export async function serveBundle(deps: ServeBundleDeps, config: Config): Promise<void> {
  const { logger, closing, every, ledger } = deps;
  const { host, bundlePort: port } = config;
  if (port === undefined) return;
  // Nobody is asked for one here.
  const certificates = createPresentedCertificates();
  const face = createBundleFace({ trustBundle: ledger.keys.trustBundle });
  if (config.tls !== undefined) {
    const tls = await readCertificate(config.tls);
    const server = await startHttpServer(face, { host, port, certificates, tls });
    closing.add(() => server.drain(drainMs));
    every(renewEveryMs, "certificate renewal", renewsCertificates(logger, [server], config.tls, tls));
    return;
  }
  const svid = await deps.serverSvid();
  const server = await startHttpServer(face, { host, port, certificates, tls: svid.certificate() });
  closing.add(() => server.drain(drainMs));
  svid.onRenewed(server.renew);
}
