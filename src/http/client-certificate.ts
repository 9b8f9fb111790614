import { X509Certificate } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { networkInterfaces } from "node:os";
import { TLSSocket } from "node:tls";
import { addressSet } from "./trusted-proxies.ts";

/**
 * Reads the certificate that comes with a request; for a header of a trusted proxy `malformed` where it holds none, and
 * `local` where the proxy is on this machine and that was not allowed.
 */
export type ReadCertificate = (
  request: IncomingMessage,
) => X509Certificate | "malformed" | "local" | undefined;

export interface CertificateSources {
  /** Addresses and CIDR ranges, as the settings have checked them. */
  readonly proxies: readonly string[];
  /** Whether a proxy on this very machine counts: every process here has its address, and certificates are no secrets. */
  readonly allowsLocal: boolean;
}

// RFC 8941, section 3.3.5, and no larger than the headers may be in all.
const byteSequence = /^:([A-Za-z0-9+/]+={0,2}):$/;

/**
 * Makes the reader. Of a trusted proxy the `Client-Cert` header counts, and never its own certificate; of everybody else
 * only the handshake counts, in which TLS had them prove that they hold the key.
 *
 * @see RFC 9440, section 2; RFC 8705, section 2
 */
export function readsCertificates({ proxies, allowsLocal }: CertificateSources): ReadCertificate {
  const isTrusted = addressSet(proxies);
  return ({ socket, headers: { "client-cert": header } }) => {
    if (!isTrusted(socket.remoteAddress))
      return socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
    if (header !== undefined && !allowsLocal && isOfThisMachine(socket.remoteAddress)) return "local";
    return certificateIn(header);
  };
}

/** How certificates come with requests on a connection, if any can. */
export type CertificatePath = "handshake" | "proxy";

/** Tells on which connections a certificate could come at all: at the port that asks for them, or through a trusted proxy. */
export function tellsCertificatePath(
  { proxies, allowsLocal }: CertificateSources,
  mtlsPort: number | undefined,
): (request: IncomingMessage) => CertificatePath | undefined {
  const isTrusted = addressSet(proxies);
  return ({ socket: { remoteAddress, localPort } }) => {
    if (!isTrusted(remoteAddress))
      return mtlsPort !== undefined && localPort === mtlsPort ? "handshake" : undefined;
    return allowsLocal || !isOfThisMachine(remoteAddress) ? "proxy" : undefined;
  };
}

/** Whether an address is loopback, or one of those that this machine has now. */
function isOfThisMachine(address: string | undefined): boolean {
  const own = Object.values(networkInterfaces()).flatMap((addresses = []) =>
    addresses.map((each) => each.address),
  );
  return addressSet(["127.0.0.0/8", "::1", ...own])(address);
}

/** The certificates that came with requests under way, as they were read before anyone was asked about them. */
export interface PresentedCertificates {
  readonly keep: (request: IncomingMessage, certificate: X509Certificate) => void;
  /** The certificate whose key the client proved to hold; undefined when it presented none. */
  readonly of: (request: IncomingMessage) => X509Certificate | undefined;
}

/** None yet; what is kept goes with its request. */
export function createPresentedCertificates(): PresentedCertificates {
  const presented = new WeakMap<IncomingMessage, X509Certificate>();
  return {
    keep: (request, certificate) => void presented.set(request, certificate),
    of: (request) => presented.get(request),
  };
}

function certificateIn(header: string | readonly string[] | undefined) {
  if (header === undefined) return undefined;
  const [, base64] = byteSequence.exec(String(header)) ?? [];
  if (base64 === undefined) return "malformed";
  try {
    return new X509Certificate(Buffer.from(base64, "base64"));
  } catch {
    // Not a certificate: that is the answer.
    return "malformed";
  }
}
