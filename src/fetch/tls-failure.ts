/** What of TLS kept two sides from talking: a certificate that does not count here; ours, which does not count there; all the rest. */
export type TlsFailure = "certificate" | "ours" | "handshake";

const causesMax = 8;
/** What the other side says of our certificate, or of our showing none: nothing of its own. @see RFC 8446, section 6.2 */
const oursCode = /^ERR_SSL_\w*ALERT_\w*(CERT|UNKNOWN_CA)/;
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
    if (oursCode.test(code)) return "ours";
    if (certificateCode.test(code)) return "certificate";
    if (handshakeCode.test(code)) return "handshake";
    looked = looked.cause;
  }
  return undefined;
}
