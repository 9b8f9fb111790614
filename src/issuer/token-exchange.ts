import type { Provider, TokenEndpointGrantContext } from "oidc-provider";
import type { PreparedToken } from "../journeys/token/prepared-token.ts";
import type { AttestedClients } from "./attested-clients.ts";
import { type Issuance, resourceServerOf, tokenRequestOf } from "./issuance.ts";
import type { IssuerDeps } from "./issuer-deps.ts";
import { buildTokenResponse, checkDpopReplay, validateDpop } from "./provider-seam.ts";
import { orOAuthError } from "./to-oauth-error.ts";
import {
  parseTokenExchange,
  repeatableParameters,
  tokenExchangeGrantType,
  tokenExchangeParameters,
} from "./token-exchange-request.ts";

/** What the exchange uses of the issuer. */
export interface TokenExchange {
  readonly deps: IssuerDeps;
  readonly attested: AttestedClients;
  readonly provider: Provider;
  readonly issuance: Issuance;
  /** Id of the key that signs. */
  readonly kid: string;
}

/**
 * Adds RFC 8693 token exchange to a provider: the client is authenticated and its proof of possession checked by the
 * library, the journey records, and what it recorded is signed.
 *
 * @see RFC 8693, section 2; RFC 9396, section 7; RFC 9449, section 5
 */
export function registerTokenExchange(exchange: TokenExchange): void {
  exchange.provider.registerGrantType(
    tokenExchangeGrantType,
    (ctx) => answerExchange(exchange, ctx),
    tokenExchangeParameters,
    repeatableParameters,
  );
}

async function answerExchange(exchange: TokenExchange, ctx: TokenEndpointGrantContext): Promise<void> {
  const { deps, attested, provider } = exchange;
  const { client } = ctx.oidc;
  const { issuedTokenType, ...parameters } = parseTokenExchange(ctx.oidc.params);
  const dPoP = await validateDpop(provider, ctx);
  const request = { ...(await tokenRequestOf({ deps, attested }, ctx, dPoP?.thumbprint)), ...parameters };
  await checkDpopReplay(provider, ctx, dPoP, client.clientId);

  const prepared = await orOAuthError(deps, deps.exchangeToken(request));
  const response = await signedAnswer(exchange, ctx, prepared, { issuedTokenType, dPoP });
  const { authorization_details } = prepared.claims;
  ctx.body = { ...response, ...(authorization_details && { authorization_details }) };
}

/** Signs what a journey recorded for this request, and tells it as the library tells a token. */
export async function signedAnswer(
  { provider, issuance, kid }: TokenExchange,
  ctx: TokenEndpointGrantContext,
  prepared: PreparedToken,
  { issuedTokenType, dPoP }: { readonly issuedTokenType?: string; readonly dPoP: ProvenKey | undefined },
): Promise<ReturnType<typeof buildTokenResponse>> {
  const { client } = ctx.oidc;
  issuance.keep(ctx, prepared);
  const { aud } = prepared.claims;
  // The library's plainest token: without account or grant, and all of its claims come from the journey.
  const token = new provider.ClientCredentials({ client });
  token.resourceServer = new provider.ResourceServer(aud, resourceServerOf(aud, undefined, kid));
  if (dPoP !== undefined) token.setThumbprint("jkt", dPoP.thumbprint);

  const accessToken = await token.save();
  return buildTokenResponse(provider, {
    accessToken,
    ...(issuedTokenType !== undefined && { issuedTokenType }),
    tokenType: token.tokenType,
    expiresIn: token.expiration,
    scope: token.scope,
  });
}

type ProvenKey = NonNullable<Awaited<ReturnType<typeof validateDpop>>>;
