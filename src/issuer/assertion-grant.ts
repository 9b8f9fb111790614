import type { TokenEndpointGrantContext } from "oidc-provider";
import { AssertionFailure } from "./assertion-failure.ts";
import { answerIdentityAssertion } from "./identity-assertion.ts";
import { refuseDetails, tokenRequestOf } from "./issuance.ts";
import { checkDpopReplay, validateDpop } from "./provider-seam.ts";
import { onlyTarget } from "./request-parameter.ts";
import { signedAnswer, type TokenExchange } from "./token-exchange.ts";
import { jwtBearerGrantType, refusalOf, usingUp } from "./trusted-assertion.ts";

/**
 * Adds the grant by a trusted issuer's assertion to a provider. Whose a workload's is was found before the library saw the
 * request; the agent gets the token in which it speaks for itself, and the assertion is used up.
 *
 * @see RFC 7523, section 2.1; RFC 9449, section 5
 */
export function registerAssertionGrant(exchange: TokenExchange): void {
  exchange.provider.registerGrantType(
    jwtBearerGrantType,
    (ctx) => answerAssertion(exchange, ctx),
    ["assertion", "resource", "scope"],
    ["resource"],
  );
}

async function answerAssertion(exchange: TokenExchange, ctx: TokenEndpointGrantContext): Promise<void> {
  const { deps, attested, provider } = exchange;
  const { assertion } = ctx.oidc.params ?? {};
  // The assertion of a workload is no parameter any more: it was read before the library saw the request.
  if (typeof assertion === "string") return answerIdentityAssertion(exchange, ctx, assertion);
  const sender = attested.of(ctx.req);
  // Who authenticated in another way has no assertion that is a grant.
  if (sender === undefined || !("grantedOnce" in sender)) throw notAGrant();
  refuseDetails(ctx);
  const resource = onlyTarget([ctx.oidc.params?.["resource"] ?? []].flat());
  const dPoP = await validateDpop(provider, ctx);
  const request = await tokenRequestOf({ deps, attested }, ctx, dPoP?.thumbprint);
  await checkDpopReplay(provider, ctx, dPoP, ctx.oidc.client.clientId);
  const { proof, assertion: sent, grantedOnce: once } = sender;
  const asked = { ...request, ...(resource !== undefined && { resource }) };
  const prepared = await usingUp(deps, { ...proof, ...sent, once }, (demands) =>
    deps.issueToken({ ...asked, context: { ...request.context, demands } }),
  );
  ctx.body = await signedAnswer(exchange, ctx, prepared, { dPoP });
}

function notAGrant() {
  return refusalOf(true, new AssertionFailure("malformed"));
}
