import type { DetailedPeerCertificate, TLSSocket } from "node:tls";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import type { VerifySignature } from "@countersign/sdk/verify/x509-signature";
import { verifyX509Svid } from "@countersign/sdk/verify/x509-svid";
import type { BundleEndpoint } from "../../domain/federation.ts";
import { fetchBounded } from "../../fetch/fetch-bounded.ts";
import { FetchError, PrivateAddressError } from "../../fetch/fetch-error.ts";
import { BundleFetchError } from "./bundle-fetch-error.ts";
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

/**
 * Fetches the bundle of a foreign trust domain from whoever proves to serve it.
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
  const { trustDomain, endpointUrl: url, profile, ca, privateAllowed } = endpoint;
  const demandServer =
    profile === "https_spiffe" ? (socket: TLSSocket) => demandId(deps, endpoint, socket, known) : undefined;
  const privateHosts = privateAllowed ? [new URL(url).host] : [];
  try {
    const octets = await fetchBounded({ url, privateHosts, ca, demandServer, bytesMax, timeoutMs });
    return readBundle(trustDomain, octets);
  } catch (error) {
    if (!(error instanceof FetchError)) throw error;
    const allowed = error instanceof PrivateAddressError ? " (federation add --allow-private)" : "";
    throw new BundleFetchError(`${error.message}${allowed}`, { cause: error });
  }
}

/** @throws FetchError unless the server's certificate is an SVID of the endpoint's very ID, by the bundle that is known */
async function demandId(
  deps: FetchBundleDeps,
  { trustDomain, endpointSpiffeId }: BundleEndpoint,
  socket: TLSSocket,
  known: KnownBundle,
): Promise<void> {
  const bundleOf = (asked: string) => (asked === trustDomain ? known : undefined);
  try {
    const { spiffeId } = await verifyX509Svid({ ...deps, bundleOf }, chainOf(socket));
    if (spiffeId !== endpointSpiffeId) throw new FetchError("its certificate is that of another SPIFFE ID");
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    throw new FetchError(`its certificate is not taken: ${error.message}`, { cause: error });
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
