import type { TokenEndpointGrantContext } from "oidc-provider";
import { DomainError } from "../domain/domain-error.ts";
import { demandKeyOf } from "./attested-clients.ts";
import { refuseDetails, tokenRequestOf } from "./issuance.ts";
import { checkDpopReplay, validateDpop } from "./provider-seam.ts";
import { onlyTarget } from "./request-parameter.ts";
import { oauthErrorOf } from "./to-oauth-error.ts";
import { signedAnswer, type TokenExchange } from "./token-exchange.ts";
import { orNotTrusted, usingUp } from "./trusted-assertion.ts";

/** Names this profile of the grant in the metadata. @see draft-ietf-oauth-identity-assertion-authz-grant, section 6 */
export const identityAssertionProfile = "urn:ietf:params:oauth:grant-profile:id-jag";

/**
 * Answers a client that authenticated otherwise and brings its user's identity provider's word: it gets the token that a
 * delegation of that user lets it have, within what the assertion says, and the assertion is used up.
 *
 * @see draft-ietf-oauth-identity-assertion-authz-grant, section 4.4; RFC 9449, section 5
 */
export async function answerIdentityAssertion(
  exchange: TokenExchange,
  ctx: TokenEndpointGrantContext,
  assertion: string,
): Promise<void> {
  const { deps, attested, provider } = exchange;
  refuseDetails(ctx);
  const resource = onlyTarget([ctx.oidc.params?.["resource"] ?? []].flat());
  const dPoP = await validateDpop(provider, ctx);
  const request = await tokenRequestOf({ deps, attested }, ctx, dPoP?.thumbprint);
  await checkDpopReplay(provider, ctx, dPoP, ctx.oidc.client.clientId);
  const { client, context } = request;
  const person = await orNotTrusted(deps, deps.assertPerson({ client, assertion, context }), true);
  demandKeyOf(person, dPoP?.thumbprint);
  const asked = { ...request, person, ...(resource !== undefined && { resource }) };
  const prepared = await usingUp(deps, person, (demands) =>
    orInvalidGrant(deps.exchangeToken({ ...asked, context: { ...context, demands } })),
  );
  ctx.body = await signedAnswer(exchange, ctx, prepared, { dPoP });
}

/** What is wrong with the delegation or a party to it is wrong with the grant: RFC 6749, section 5.2. */
async function orInvalidGrant<Answer>(answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    const isOfGrant =
      error instanceof DomainError && ["invalid_delegation", "subject_not_active"].includes(error.code);
    throw isOfGrant ? oauthErrorOf(400, "invalid_grant", error.publicDetail, error) : error;
  }
}
