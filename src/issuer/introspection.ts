import { spiffeIdOf } from "@countersign/sdk/model/spiffe-id";
import type { KoaContextWithOIDC } from "oidc-provider";
import { introspectionJwt, introspectionMediaType } from "./introspection-jwt.ts";
import { authenticatedPrincipal, requestContextOf } from "./issuance.ts";
import type { IssuerDeps, TokenKeys } from "./issuer-deps.ts";
import type { ClientEndpoint } from "./provider-seam.ts";
import { presentParameter } from "./request-parameter.ts";
import { orOAuthError } from "./to-oauth-error.ts";

export const introspectionPath = "/introspect";
export const revocationPath = "/revoke";

const parameters = ["token", "token_type_hint"] as const;

/**
 * Introspection of our access tokens: their claims exactly as signed, or `active: false` for every token that is not
 * active, not ours, or not the caller's business; as a JWT for who asks for that. The library's own refuses JWTs.
 *
 * @see RFC 7662, section 2.2; RFC 9701
 */
export function introspectionEndpoint(deps: IssuerDeps, keys: TokenKeys): ClientEndpoint {
  return {
    name: "introspection",
    path: introspectionPath,
    parameters,
    answer: async (ctx) => {
      const token = presentParameter(ctx, "token");
      const caller = authenticatedPrincipal(deps, ctx);
      const claims = await orOAuthError(deps, deps.introspectToken({ caller, token }));
      const answer =
        claims === undefined
          ? { active: false }
          : { ...claims, active: true, token_type: claims.cnf?.jkt === undefined ? "Bearer" : "DPoP" };
      if (ctx.accepts("json", introspectionMediaType) !== introspectionMediaType) {
        ctx.body = answer;
        return;
      }
      ctx.body = introspectionJwt(deps, keys, { askedBy: spiffeIdOf(deps.trustDomain, caller), answer });
      ctx.type = introspectionMediaType;
    },
  };
}

/**
 * Revocation of our access tokens. The answer is the same whether there was such a token or not.
 *
 * @see RFC 7009, section 2.2
 */
export function revocationEndpoint(deps: IssuerDeps): ClientEndpoint {
  return {
    name: "revocation",
    path: revocationPath,
    parameters,
    answer: async (ctx: KoaContextWithOIDC) => {
      const token = presentParameter(ctx, "token");
      const caller = authenticatedPrincipal(deps, ctx);
      await orOAuthError(deps, deps.revokeToken({ caller, token, context: requestContextOf(ctx) }));
      ctx.status = 200;
      ctx.body = "";
    },
  };
}
