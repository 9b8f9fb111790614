/** What of TLS kept two sides from talking: a certificate that does not count here, or all the rest. */
export type TlsFailure = "certificate" | "handshake";

const causesMax = 8;
/** What OpenSSL's verification finds, as Node names it, and what else is amiss with a certificate. */
const certificateCode = /CERT|^UNABLE_TO_|^CRL_|^HOSTNAME_MISMATCH$|^INVALID_(CA|PURPOSE)$/;
const handshakeCode = /^(EPROTO$|ERR_SSL_|ERR_TLS_)/;

/**
 * Why a connection failed, where TLS is why; undefined for whatever else it was.
 *
 * @see https://nodejs.org/api/tls.html, X509 certificate error codes
 */
export function tlsFailureOf(error: unknown): TlsFailure | undefined {
  let looked = error;
  for (let depth = 0; depth < causesMax && looked instanceof Error; depth++) {
    const code = "code" in looked ? String(looked.code) : "";
    if (certificateCode.test(code)) return "certificate";
    if (handshakeCode.test(code)) return "handshake";
    looked = looked.cause;
  }
  return undefined;
}
