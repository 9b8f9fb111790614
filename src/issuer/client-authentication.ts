import { type Client, errors, type JsonValue, type KoaContextWithOIDC, type Provider } from "oidc-provider";
import { failureReasonOf } from "./assertion-failure.ts";
import type { AttestedClients } from "./attested-clients.ts";
import { isCompat } from "./client-metadata.ts";
import { requestPlaceOf } from "./issuance.ts";
import type { IssuerDeps, OneTimeValue, RefusedRequest } from "./issuer-deps.ts";
import { dpopWindowSeconds, replaceReplayDetection } from "./provider-seam.ts";
import { orOAuthError } from "./to-oauth-error.ts";

/** Signature algorithms of client assertions and DPoP proofs. A key of another kind can't be registered either. */
export const clientSigningAlgorithms = ["ES256"] as const;

/** Seconds by which a client's clock may be off. */
export const clockToleranceSeconds = 15;

/** Seconds ahead of now that an assertion may expire at the most: so long must it be remembered. */
const lifetimeSecondsMax = 600;
const jtiCharsMax = 256;
const detailCharsMax = 200;
// An access token or a DPoP proof is a JWT by a key of the client too, and must never pass for its assertion.
const types: readonly unknown[] = [undefined, "JWT", "client-authentication+jwt"];

type Claims = Record<string, JsonValue>;

/**
 * The checks that the library leaves out: of an assertion whose signature, `iss`, `sub` and `exp` it has verified.
 *
 * @throws errors.InvalidClientAuth
 * @see RFC 7523, section 3; RFC 7523bis, section 4: `aud` is the issuer as a string, and nothing besides
 */
export function assertClientAssertion(
  deps: Pick<IssuerDeps, "issuer" | "now">,
  claims: Claims,
  header: Claims,
  client: Client,
): void {
  const nowSeconds = deps.now() / 1000;
  const { aud, exp, iat, jti } = claims;
  const isMeant = aud === deps.issuer || (isCompat(client) && aud === `${deps.issuer}/token`);
  if (!isMeant) refuse("aud is not the issuer as its sole value");
  if (!types.includes(header["typ"])) refuse("typ is not one of a client assertion");
  if (typeof exp !== "number" || exp > nowSeconds + lifetimeSecondsMax + clockToleranceSeconds) {
    refuse("exp is too far ahead");
  }
  if (iat !== undefined && (typeof iat !== "number" || iat > nowSeconds + clockToleranceSeconds)) {
    refuse("iat is in the future");
  }
  if (typeof jti !== "string" || jti.length > jtiCharsMax) refuse("jti is too long");
}

function refuse(detail: string): never {
  throw new errors.InvalidClientAuth(detail);
}

/**
 * Makes every client assertion and DPoP proof good for one request, in all processes together, and tells of each request
 * that is refused, of those who fail to prove who they are apart from the others.
 */
export function watchAuthentication(deps: IssuerDeps, provider: Provider, attested: AttestedClients): void {
  const authenticated = new WeakSet<KoaContextWithOIDC>();
  const replayed = new WeakMap<KoaContextWithOIDC, Exclude<OneTimeValue["kind"], "trusted_assertion">>();

  replaceReplayDetection(provider, async (ctx, clientId, value, exp) => {
    // The assertion's replay check is the last step of client authentication; a proof's comes after it. Who authenticates
    // by certificate or secret sends no assertion: then it is a proof, which must be remembered for longer.
    const isAssertion = ctx.oidc.params?.["client_assertion"] !== undefined && !authenticated.has(ctx);
    // The client that a subject is may be kept for it, made or found from one request to the next: its trust stays.
    const proof = attested.of(ctx.req)?.proof;
    const client = proof === undefined || proof.kind === "svid" ? clientId : proof.trustedIssuer;
    const kind = isAssertion ? "client_assertion" : "dpop_proof";
    const first = await isFirstUse(deps, { client, kind, value }, exp);
    if (first) authenticated.add(ctx);
    else replayed.set(ctx, kind);
    // RFC 9449, section 5, where the library would answer invalid_grant.
    if (!first && kind === "dpop_proof") throw new errors.InvalidDpopProof("the DPoP proof was used before");
    return first;
  });

  const tell = (ctx: KoaContextWithOIDC, thrown: errors.OIDCProviderError) => {
    const refused = refusedRequestOf(ctx, thrown);
    const { error, cause } = refused;
    const reason = failureReasonOf(cause);
    if (reason !== undefined) return deps.onAuthenticationFailure({ ...refused, reason });
    if (error !== "invalid_client" && error !== "invalid_dpop_proof") return deps.onRefused(refused);
    const kind = replayed.get(ctx);
    deps.onAuthenticationFailure({ ...refused, reason: kind === undefined ? error : `${kind}_replayed` });
  };
  provider.on("grant.error", tell);
  provider.on("introspection.error", tell);
  provider.on("revocation.error", tell);
  provider.on("pushed_authorization_request.error", tell);
}

function refusedRequestOf(ctx: KoaContextWithOIDC, thrown: errors.OIDCProviderError): RefusedRequest {
  const { statusCode: status, error, error_detail, error_description, cause } = thrown;
  const detail = (error_detail ?? error_description)?.slice(0, detailCharsMax);
  return {
    ...requestPlaceOf(ctx),
    status,
    error,
    ...(detail !== undefined && { detail }),
    ...(cause !== undefined && { cause }),
  };
}

/** @param expSeconds epoch seconds when the library begins to forget the value */
function isFirstUse(deps: IssuerDeps, used: OneTimeValue, expSeconds: number): Promise<boolean> {
  // The library would forget a proof dated ahead while its `iat` still passes.
  const acceptedUntilSeconds = used.kind === "dpop_proof" ? expSeconds + dpopWindowSeconds : expSeconds;
  return orOAuthError(deps, deps.rememberOnce(used, new Date(acceptedUntilSeconds * 1000)));
}
