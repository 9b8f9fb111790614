import { lookup } from "node:dns";
import { get as getHttp, type IncomingMessage, type RequestOptions } from "node:http";
import { get as getHttps } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { isLoopback } from "../config.ts";
import { isPublicAddress } from "../svid/federation/public-address.ts";

export interface FetchJsonDeps {
  /** Whether this very machine may be asked, by the name that a URL gives it. */
  readonly allowsLoopback: boolean;
  /** Hosts, each as a URL has it with its port, that may be at an address that is not public, because an operator said so. */
  readonly privateHosts?: readonly string[];
  /** PEM: who signs the server's certificate; undefined: whoever everybody trusts. */
  readonly ca?: string | undefined;
  /** Sent as bearer token, to whoever the URL names. */
  readonly token?: string | undefined;
}

const bytesMax = 256 * 1024;
const timeoutMs = 5_000;

/**
 * The JSON that a URL answers with. Only https is asked and only public addresses, those that are connected to and not those
 * that a name had a moment before; no redirect is followed; at most 256 KiB are read, within 5 s.
 *
 * @throws Error for anything else
 */
export async function fetchJson(
  { allowsLoopback, privateHosts = [], ca, token }: FetchJsonDeps,
  url: string,
): Promise<unknown> {
  const { protocol, host: hostAndPort, hostname, username, password } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  const isOwn = allowsLoopback && isLoopback(host);
  const isAnyAddress = isOwn || privateHosts.includes(hostAndPort);
  if (protocol !== "https:" && !(isOwn && protocol === "http:")) throw new Error("only https is asked");
  if (username !== "" || password !== "") throw new Error("a URL with a password is not asked");
  // An address is connected to without being looked up.
  if (!isAnyAddress && isIP(host) !== 0 && !isPublicAddress(host))
    throw new Error("the address is not a public one");
  const options: RequestOptions = {
    // Of its own, so that what is looked up is what is connected to.
    agent: false,
    headers: {
      // A Kubernetes API server has keys as a JWK set alone. @see RFC 7517, section 8.5
      accept: "application/json, application/jwk-set+json",
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
    ...(ca !== undefined && { ca }),
    signal: AbortSignal.timeout(timeoutMs),
    ...(!isAnyAddress && { lookup: lookupPublic }),
  };
  const response = await responseTo(url, options, protocol === "https:" ? getHttps : getHttp);
  try {
    if (response.statusCode !== 200) throw new Error(`it was answered ${response.statusCode}`);
    return JSON.parse(await readText(response));
  } finally {
    response.destroy();
  }
}

function responseTo(url: string, options: RequestOptions, get: typeof getHttps): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(url, options, resolve).on("error", reject);
  });
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new Error("the answer is too long");
    chunks.push(chunk);
  }
  return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
}

/** Finds nobody where one of a name's addresses is not public: such a name is somebody's trick, or somebody's mistake. */
const lookupPublic: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, "");
    const [first] = addresses;
    if (first === undefined || addresses.some(({ address }) => !isPublicAddress(address)))
      return callback(new Error("the name has an address that is not public"), "");
    if (options.all === true) callback(null, addresses);
    else callback(null, first.address, first.family);
  });
};
