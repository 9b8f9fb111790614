import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { isIP } from "node:net";
import { connect, type DetailedPeerCertificate, type TLSSocket } from "node:tls";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import type { VerifySignature } from "@countersign/sdk/verify/x509-signature";
import { verifyX509Svid } from "@countersign/sdk/verify/x509-svid";
import type { BundleEndpoint } from "../../domain/federation.ts";
import { BundleFetchError } from "./bundle-fetch-error.ts";
import { addressOf } from "./public-address.ts";
import { type ReadBundle, readBundle } from "./read-bundle.ts";

export interface FetchBundleDeps {
  readonly now: () => number;
  readonly verifySignature: VerifySignature;
}

/** What the server of an endpoint is verified by, with `https_spiffe`. */
export type KnownBundle = TrustBundle | undefined;

const bytesMax = 1024 * 1024;
const timeoutMs = 10_000;
const chainMax = 5;
const headerBytesMax = 16 * 1024;

/**
 * Fetches the bundle of a foreign trust domain from whoever proves to serve it: no byte is asked for before that, no
 * redirect is followed, and neither time nor size is the server's to choose.
 *
 * @param known the last bundle that is known of the trust domain
 * @throws BundleFetchError with the reason
 * @see SPIFFE Federation, section 5.2
 */
export async function fetchBundle(
  deps: FetchBundleDeps,
  endpoint: BundleEndpoint,
  known: KnownBundle,
): Promise<ReadBundle> {
  const signal = AbortSignal.timeout(timeoutMs);
  let socket: TLSSocket | undefined;
  try {
    socket = await connectTo(endpoint, signal);
    if (endpoint.profile === "https_spiffe") await demandServer(deps, endpoint, socket, known);
    return readBundle(endpoint.trustDomain, await bodyFrom(socket, endpoint, signal));
  } catch (error) {
    if (error instanceof BundleFetchError) throw error;
    throw new BundleFetchError(signal.aborted ? "it did not answer in time" : reasonOf(error), {
      cause: error,
    });
  } finally {
    socket?.destroy();
  }
}

/** What went wrong, by its code: the words of a library may quote what a server said. */
function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
  return `it can't be reached, or does not prove what it is: ${code.slice(0, 64)}`;
}

async function connectTo(
  { endpointUrl, profile, ca, privateAllowed }: BundleEndpoint,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const { hostname, port } = new URL(endpointUrl);
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const address = await aborting(addressOf(hostname, privateAllowed), signal);
  const socket = connect({
    host: address,
    port: port === "" ? 443 : Number(port),
    minVersion: "TLSv1.2",
    ALPNProtocols: ["http/1.1"],
    // With `https_spiffe` the certificate is verified by `demandServer`: no authority of the web speaks for it.
    rejectUnauthorized: profile === "https_web",
    ...(isIP(host) === 0 && { servername: host }),
    ...(ca !== undefined && { ca }),
  });
  await aborting(
    new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", resolve);
      socket.once("error", reject);
      socket.once("close", () => reject(new BundleFetchError("it closed the connection")));
    }),
    signal,
  ).catch((error: unknown) => {
    socket.destroy();
    throw error;
  });
  return socket;
}

/** @throws BundleFetchError unless the server's certificate is an SVID of the endpoint's very ID, by the bundle that is known */
async function demandServer(
  deps: FetchBundleDeps,
  { trustDomain, endpointSpiffeId }: BundleEndpoint,
  socket: TLSSocket,
  known: KnownBundle,
): Promise<void> {
  const bundleOf = (asked: string) => (asked === trustDomain ? known : undefined);
  try {
    const { spiffeId } = await verifyX509Svid({ ...deps, bundleOf }, chainOf(socket));
    if (spiffeId !== endpointSpiffeId)
      throw new BundleFetchError("its certificate is that of another SPIFFE ID");
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    throw new BundleFetchError(`its certificate is not taken: ${error.message}`, { cause: error });
  }
}

/** What the server presented, in DER: the leaf first. */
function chainOf(socket: TLSSocket): readonly Uint8Array[] {
  const chain: Uint8Array[] = [];
  const seen = new Set<string>();
  let certificate: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  // One that signed itself is its own issuer.
  while (certificate?.raw !== undefined && !seen.has(certificate.fingerprint256) && chain.length < chainMax) {
    chain.push(certificate.raw);
    seen.add(certificate.fingerprint256);
    certificate = certificate.issuerCertificate;
  }
  return chain;
}

async function bodyFrom(
  socket: TLSSocket,
  { endpointUrl }: BundleEndpoint,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { host, pathname, search } = new URL(endpointUrl);
  const asked = request({
    createConnection: () => socket,
    path: `${pathname}${search}`,
    headers: { host, accept: "application/json", "accept-encoding": "identity", connection: "close" },
    maxHeaderSize: headerBytesMax,
    signal,
  });
  const response = await responseTo(asked);
  const { statusCode = 0, headers } = response;
  if (statusCode >= 300 && statusCode < 400)
    throw new BundleFetchError("it answers with a redirect, and none is followed");
  if (statusCode !== 200) throw new BundleFetchError(`it answers with status ${statusCode}`);
  if ((headers["content-encoding"] ?? "identity") !== "identity")
    throw new BundleFetchError("its answer is in an encoding that was not asked for");
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response) {
    bytes += part.length;
    if (bytes > bytesMax) throw new BundleFetchError("its answer is longer than 1 MiB");
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function responseTo(asked: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    asked.once("response", resolve);
    asked.on("error", reject);
    asked.end();
  });
}

function aborting<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
