import { EventEmitter } from "node:events";
import { type Configuration, type KoaContextWithOIDC, Provider } from "oidc-provider";
import { isClientSecret } from "../journeys/client/client-secret.ts";
import { tokenLifetimeSeconds } from "../journeys/token/prepared-token.ts";
import { createAdapter } from "./adapter.ts";
import { registerAssertionGrant } from "./assertion-grant.ts";
import type { AttestedClients } from "./attested-clients.ts";
import {
  assertClientAssertion,
  clientSigningAlgorithms,
  clockToleranceSeconds,
  watchAuthentication,
} from "./client-authentication.ts";
import { extraClientMetadata, hasKeyOf, isCompat, isNonceRequired, isOperator } from "./client-metadata.ts";
import {
  introspectionEndpoint,
  introspectionPath,
  revocationEndpoint,
  revocationPath,
} from "./introspection.ts";
import { createIssuance, type Issuance, requestPlaceOf, resourceServerOf } from "./issuance.ts";
import type { IssuerDeps, TokenKeys } from "./issuer-deps.ts";
import { publishedMetadata } from "./metadata.ts";
import {
  clientEndpoint,
  compareSecretsBy,
  type DpopNonces,
  dpopNoncesOf,
  keepClients,
  type Middleware,
  pinToIssuer,
  withdrawGrantType,
} from "./provider-seam.ts";
import { pushPath } from "./pushed-request.ts";
import { presentTarget, unnamedResource } from "./request-parameter.ts";
import { registerTokenExchange } from "./token-exchange.ts";
import { tokenSigningKeys } from "./token-signing-keys.ts";

const clientsMax = 10_000;
/** How long a client is told to wait when the database is not there. */
export const retryAfterSeconds = 1;

/**
 * Makes the OAuth face over one set of token keys. It keeps no state of its own but parsed clients, so that a new one
 * with other keys can take its place at any moment.
 */
export function createProvider(deps: IssuerDeps, keys: TokenKeys, attested: AttestedClients): Provider {
  const issuance = createIssuance(deps, attested);
  const { kid } = keys.active;
  const provider = new Provider(deps.issuer, configurationOf(deps, keys, issuance, attested));
  pinToIssuer(provider, { originAsked: deps.originAsked, takesTokenEndpoint: isCompat });
  compareSecretsBy(provider, isClientSecret);
  keepClients(provider, clientsMax);
  watchAuthentication(deps, provider, attested);
  // Implied by the response type `code`, which nobody can be given yet.
  withdrawGrantType(provider, "authorization_code");
  const exchange = { deps, attested, provider, issuance, kid };
  registerTokenExchange(exchange);
  registerAssertionGrant(exchange);
  provider.use(finishResponse(deps, issuance, dpopNoncesOf(deps.dpopNonceSecret)));
  provider.use(clientEndpoint(provider, introspectionEndpoint(deps, keys)));
  provider.use(clientEndpoint(provider, revocationEndpoint(deps)));
  reportErrors(deps, provider);
  return provider;
}

function configurationOf(
  deps: IssuerDeps,
  keys: TokenKeys,
  issuance: Issuance,
  attested: AttestedClients,
): Configuration {
  return {
    adapter: createAdapter(deps, attested),
    jwks: { keys: tokenSigningKeys(keys, issuance.assertRecorded) },
    clientAuthMethods: ["private_key_jwt", "client_secret_basic", "tls_client_auth"],
    clientDefaults: { id_token_signed_response_alg: "ES256", token_endpoint_auth_method: "private_key_jwt" },
    clockTolerance: clockToleranceSeconds,
    assertJwtClientAuthClaimsAndHeader: (_ctx, claims, header, client) =>
      assertClientAssertion(deps, claims, header, client),
    enabledJWA: {
      clientAuthSigningAlgValues: clientSigningAlgorithms,
      dPoPSigningAlgValues: clientSigningAlgorithms,
      idTokenSigningAlgValues: ["ES256"],
    },
    // To answer a known client otherwise than an unknown one would tell which there are; no cookie is involved.
    clientBasedCORS: () => true,
    extraClientMetadata,
    formats: { customizers: { jwt: issuance.install } },
    pkce: { required: () => true },
    // The library's own page would answer a browser in HTML, and OAuth errors are JSON.
    renderError: (ctx, out) => {
      ctx.body = out;
    },
    responseTypes: ["code"],
    scopes: [],
    routes: {
      introspection: introspectionPath,
      pushed_authorization_request: pushPath,
      revocation: revocationPath,
    },
    // Shown before the journey has said how long this token lives, and then replaced.
    ttl: { AccessToken: tokenLifetimeSeconds, ClientCredentials: tokenLifetimeSeconds },
    features: featuresOf(deps, keys, attested),
  };
}

function featuresOf(deps: IssuerDeps, keys: TokenKeys, attested: AttestedClients): Configuration["features"] {
  return {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    dPoP: {
      enabled: true,
      nonceSecret: Buffer.from(deps.dpopNonceSecret),
      requireNonce: ({ oidc }) => isNonceRequired(oidc.client) || isOperator(deps, oidc.client),
    },
    externalSigningSupport: { enabled: true, ack: "experimental-01" },
    introspection: { enabled: true },
    mTLS: {
      enabled: true,
      tlsClientAuth: true,
      // Of a JWT-SVID there is none; the library asks no more than whether it got something to have judged.
      getCertificate: ({ req }) => deps.certificateOf(req) ?? attested.of(req)?.spiffeId,
      certificateAuthorized: ({ req, oidc }) => {
        const sender = attested.of(req);
        if (sender !== undefined) return sender.spiffeId === oidc.client?.clientId;
        const certificate = deps.certificateOf(req);
        return certificate !== undefined && hasKeyOf(oidc.client, certificate);
      },
      // The key or the SVID that was just compared is who the client is.
      certificateSubjectMatches: () => true,
    },
    pushedAuthorizationRequests: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (_ctx, _client, oneOf) => oneOf ?? unnamedResource,
      getResourceServerInfo: (ctx, resource) =>
        resourceServerOf(presentTarget(resource), ctx.oidc.params?.["scope"], keys.active.kid),
    },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: false },
    userinfo: { enabled: false },
  };
}

function reportErrors(deps: IssuerDeps, provider: Provider): void {
  const tell = (ctx: KoaContextWithOIDC | undefined, error: unknown) =>
    deps.onUnexpectedError(error, ctx === undefined ? { endpoint: "other" } : requestPlaceOf(ctx));
  provider.on("server_error", tell);
  // Koa's own event for what went wrong outside the library's error handlers; its types are hidden by the library's.
  // Once the answer is on its way, or nobody is left to read it, it only says that the caller went away.
  EventEmitter.prototype.on.call(provider, "error", (error: unknown, ctx?: KoaContextWithOIDC) => {
    if (ctx === undefined || (!ctx.headerSent && ctx.writable)) tell(ctx, error);
  });
}

function finishResponse(deps: IssuerDeps, issuance: Issuance, nonces: DpopNonces): Middleware {
  return async (ctx, next) => {
    await next();
    // The library gives one only where it took the proof's for old. Given always, it saves the next request a refusal.
    if (ctx.get("DPoP") !== "") ctx.set("DPoP-Nonce", nonces.next());
    const issued = ctx.status === 200 ? issuance.preparedFor(ctx) : undefined;
    if (issued !== undefined) {
      // Tells, beside the token, where its issuance is recorded.
      Object.assign(ctx.body ?? {}, { ledger: issued.ledger });
      const { txn, jti } = issued.claims;
      deps.onIssued({ ...requestPlaceOf(ctx), txn, jti });
    }
    if (ctx.status === 503) ctx.set("Retry-After", String(retryAfterSeconds));
    if (ctx.path.startsWith("/.well-known/") && ctx.status === 200) {
      ctx.body = publishedMetadata({ ...Object(ctx.body) }, deps.mutualTls);
    }
  };
}
