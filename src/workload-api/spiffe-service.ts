import type { Selector } from "@countersign/sdk/model/selector";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { verifyJwtSvid } from "@countersign/sdk/verify/jwt-svid";
import type { JwtSvidRequest, SvidSource } from "../domain/svid-source.ts";
import { type AnswerDeps, answersOnce, demandIdentity, demandSecurityHeader } from "./answer.ts";
import { byTrustDomain, hinted, jwtAuthoritiesOf, x509AuthoritiesOf } from "./bundles.ts";
import {
  JWTBundlesResponse,
  type JWTSVIDResponse,
  type SpiffeWorkloadAPIServer,
  type ValidateJWTSVIDResponse,
  X509BundlesResponse,
  X509SVIDResponse,
} from "./generated/workload.ts";
import { answersOnChange } from "./push.ts";
import { parseJwtSvidRequest, parseValidateJwtSvidRequest } from "./requests.ts";

/**
 * The Workload API. What it does not know, WIT-SVIDs among it, is UNIMPLEMENTED.
 *
 * @see SPIFFE Workload API, sections 4 to 6
 */
export function createSpiffeService(deps: AnswerDeps): SpiffeWorkloadAPIServer {
  const { source } = deps;
  const admit = demandSecurityHeader;
  return {
    fetchX509Svid: answersOnChange(
      deps,
      admit,
      (answer) => X509SVIDResponse.encode(answer).finish(),
      ({ selectors }) => x509Svids(source, selectors),
    ),
    fetchX509Bundles: answersOnChange(
      deps,
      admit,
      (answer) => X509BundlesResponse.encode(answer).finish(),
      async ({ selectors }) => ({
        crl: [],
        bundles: byTrustDomain(demandIdentity(await source.bundles(selectors)), x509AuthoritiesOf),
      }),
    ),
    fetchJwtBundles: answersOnChange(
      deps,
      admit,
      (answer) => JWTBundlesResponse.encode(answer).finish(),
      async ({ selectors }) => ({
        bundles: byTrustDomain(demandIdentity(await source.bundles(selectors)), jwtAuthoritiesOf),
      }),
    ),
    fetchJwtsvid: answersOnce(deps, admit, parseJwtSvidRequest, ({ selectors, peer: { uid } }, request) =>
      jwtSvids(source, selectors, { ...request, uid }),
    ),
    validateJwtsvid: answersOnce(deps, admit, parseValidateJwtSvidRequest, ({ selectors }, request) =>
      validateJwtSvid(deps, selectors, request),
    ),
  };
}

async function x509Svids(source: SvidSource, selectors: readonly Selector[]): Promise<X509SVIDResponse> {
  const svids = demandIdentity(await source.x509Svids(selectors));
  // Not before: what signed an SVID that was issued just now may be newer than a bundle that was read meanwhile.
  const [own, ...federated] = demandIdentity(await source.bundles(selectors));
  const bundle = x509AuthoritiesOf(own);
  return {
    svids: hinted(svids).map(({ spiffeId, certificates, privateKey, hint }) => ({
      spiffeId,
      x509Svid: Buffer.concat(certificates),
      x509SvidKey: Buffer.from(privateKey),
      bundle,
      hint,
    })),
    crl: [],
    federatedBundles: byTrustDomain(federated, x509AuthoritiesOf),
  };
}

async function jwtSvids(
  source: SvidSource,
  selectors: readonly Selector[],
  request: JwtSvidRequest,
): Promise<JWTSVIDResponse> {
  const given = demandIdentity(await source.jwtSvids(selectors, request));
  return { svids: hinted(given).map(({ spiffeId, token, hint }) => ({ spiffeId, svid: token, hint })) };
}

/** By the bundles that are for this caller, and by none that is for others. */
async function validateJwtSvid(
  { source, now }: AnswerDeps,
  selectors: readonly Selector[],
  { audience, svid }: ReturnType<typeof parseValidateJwtSvidRequest>,
): Promise<ValidateJWTSVIDResponse> {
  const bundles = demandIdentity(await source.bundles(selectors));
  const bundleOf = (trustDomain: TrustDomain) => bundles.find((bundle) => bundle.trustDomain === trustDomain);
  const { spiffeId, claims } = await verifyJwtSvid({ bundleOf, now }, svid, { audience });
  return { spiffeId, claims };
}
