import { type ClientRequest, type IncomingMessage, request as requestOn } from "node:http";
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { isLoopback } from "../domain/loopback.ts";
import { FetchError, PrivateAddressError } from "./fetch-error.ts";
import { isPublicAddress, lookupAny, lookupPublic } from "./public-address.ts";
import { readBounded } from "./read-bounded.ts";
import { tlsFailureOf } from "./tls-failure.ts";

/** What is fetched, and what is believed of whoever answers. */
export interface FetchPlace {
  /** https. */
  readonly url: string;
  /**
   * Hosts, each as a URL has it with its port, that may be at an address that is not public, because an operator said so;
   * those that are this very machine may be asked over plain http too. Nobody else's text belongs here.
   */
  readonly privateHosts?: readonly string[];
  /** PEM: who signs the server's certificate; undefined: whoever everybody trusts. */
  readonly ca?: string | undefined;
  /** Sent as bearer token, once the server has proven what it is. */
  readonly token?: string | undefined;
  /** Proves the server in the place of all that the web goes by, before anything is asked. @throws FetchError */
  readonly demandServer?: ((socket: TLSSocket) => Promise<void>) | undefined;
}

export interface FetchRequest extends FetchPlace {
  readonly bytesMax: number;
  readonly timeoutMs: number;
}

const headerBytesMax = 16 * 1024;

/**
 * Fetches what an address says that somebody else may have chosen. Only public addresses are asked, but for the hosts that
 * are allowed; a name is looked up once, so that what was checked is what is connected to; no byte is asked for before the
 * server has proven what it is; no redirect is followed; and neither time nor size is the server's to choose.
 *
 * @throws FetchError with the reason
 */
export async function fetchBounded(request: FetchRequest): Promise<Uint8Array> {
  const url = new URL(request.url);
  const isPrivateAllowed = request.privateHosts?.includes(url.host) ?? false;
  demandAskable(url, isPrivateAllowed);
  const signal = AbortSignal.timeout(request.timeoutMs);
  let socket: Socket | undefined;
  try {
    const tls = url.protocol === "https:" ? tlsTo(url, request, isPrivateAllowed) : undefined;
    socket = tls ?? connect({ ...addressOf(url, isPrivateAllowed), port: portOf(url, 80) });
    await connected(socket, tls === undefined ? "connect" : "secureConnect", signal);
    if (tls !== undefined) await request.demandServer?.(tls);
    return await bodyFrom(socket, url, request, signal);
  } catch (error) {
    if (error instanceof FetchError) throw error;
    throw new FetchError(signal.aborted ? "it did not answer in time" : reasonOf(error), { cause: error });
  } finally {
    socket?.destroy();
  }
}

function demandAskable(url: URL, isPrivateAllowed: boolean): void {
  const { protocol, hostname, username, password } = url;
  const isOwn = isPrivateAllowed && isLoopback(hostname);
  if (protocol !== "https:" && !(isOwn && protocol === "http:")) throw new FetchError("only https is asked");
  if (username !== "" || password !== "") throw new FetchError("a URL with a password is not asked");
  // An address is connected to without being looked up.
  if (!isPrivateAllowed && isIP(hostOf(url)) !== 0 && !isPublicAddress(hostOf(url)))
    throw new PrivateAddressError();
}

/** What went wrong, by its code: the words of a library may quote what a server said. */
function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
  switch (tlsFailureOf(error)) {
    case "certificate":
      return `it does not prove what it is: ${certificateWords(code)}`;
    case "ours":
      return "it demands a certificate of its clients, and none is shown to it";
    case "handshake":
      return "it can't be reached: what answers there and this server find no TLS in common";
    default:
      // The parser's codes. @see https://nodejs.org/api/errors.html, HPE_*
      if (code.startsWith("HPE_")) return "what answers there does not speak HTTP";
      return `it can't be reached: ${unreachableWords.get(code) ?? code.slice(0, 64)}`;
  }
}

const unreachableWords: ReadonlyMap<string, string> = new Map([
  ["ECONNREFUSED", "nothing listens there"],
  ["ECONNRESET", "it broke the connection off"],
  ["ETIMEDOUT", "nothing answers there"],
  ["EHOSTUNREACH", "no way leads there"],
  ["ENETUNREACH", "no way leads there"],
]);

/** @see https://nodejs.org/api/tls.html, X509 certificate error codes */
function certificateWords(code: string): string {
  if (/ISSUER|VERIFY_LEAF|SELF_SIGNED|UNTRUSTED/.test(code))
    return "its certificate is from no authority that is trusted for it";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID" || code === "HOSTNAME_MISMATCH")
    return "its certificate is for another host";
  if (code === "CERT_HAS_EXPIRED") return "its certificate has ended";
  if (code === "CERT_NOT_YET_VALID") return "its certificate is not valid yet";
  return "its certificate is not valid for it";
}

function tlsTo(url: URL, { ca, demandServer }: FetchRequest, isPrivateAllowed: boolean): TLSSocket {
  return connectTls({
    ...addressOf(url, isPrivateAllowed),
    port: portOf(url, 443),
    minVersion: "TLSv1.2",
    ALPNProtocols: ["http/1.1"],
    // What `demandServer` verifies no authority of the web speaks for.
    rejectUnauthorized: demandServer === undefined,
    ...(isIP(hostOf(url)) === 0 && { servername: hostOf(url) }),
    ...(ca !== undefined && { ca }),
  });
}

function addressOf(url: URL, isPrivateAllowed: boolean) {
  return { host: hostOf(url), lookup: isPrivateAllowed ? lookupAny : lookupPublic };
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}

function portOf({ port }: URL, usual: number): number {
  return port === "" ? usual : Number(port);
}

function connected(socket: Socket, event: "connect" | "secureConnect", signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    socket.once(event, resolve);
    // It stays: a socket that fails while nobody asks must not end the process.
    socket.on("error", reject);
    socket.once("close", () => reject(new FetchError("it closed the connection")));
  });
}

async function bodyFrom(
  socket: Socket,
  { host, pathname, search }: URL,
  { bytesMax, token }: FetchRequest,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const asked = requestOn({
    createConnection: () => socket,
    path: `${pathname}${search}`,
    headers: {
      host,
      // A Kubernetes API server has keys as a JWK set alone. @see RFC 7517, section 8.5
      accept: "application/json, application/jwk-set+json",
      "accept-encoding": "identity",
      connection: "close",
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
    maxHeaderSize: headerBytesMax,
    signal,
  });
  const response = await responseTo(asked);
  const { statusCode = 0, headers } = response;
  if (statusCode >= 300 && statusCode < 400)
    throw new FetchError("it answers with a redirect, and none is followed");
  if (statusCode !== 200) throw new FetchError(`it answers with status ${statusCode}`);
  if ((headers["content-encoding"] ?? "identity") !== "identity")
    throw new FetchError("its answer is in an encoding that was not asked for");
  return readBounded(response, bytesMax);
}

function responseTo(asked: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    asked.once("response", resolve);
    asked.on("error", reject);
    asked.end();
  });
}
