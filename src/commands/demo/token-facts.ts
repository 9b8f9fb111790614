import { type AccessTokenClaims, accessTokenClaimsSchema } from "@countersign/sdk/contract/access-token";
import { actorChainOf } from "@countersign/sdk/model/actor-chain";
import { decodeJwt } from "jose";
import { z } from "zod";
import { expectThat } from "./narrator.ts";

const ledgerSchema = z.looseObject({
  ledger: z.object({ log: z.string(), index: z.number() }),
  access_token: z.string(),
});

/** What a token response says, for the story to show; whoever relies on it verifies it, as the mailbox does. */
export function tokenFacts(response: object) {
  const { ledger, access_token } = ledgerSchema.parse(response);
  return { claims: accessTokenClaimsSchema.parse(decodeJwt(access_token)), ledger };
}

/** The SPIFFE IDs of who acts, the presenter first. */
export function shownChain(claims: AccessTokenClaims): string[] {
  const chain = actorChainOf(claims.act);
  expectThat(chain !== undefined, "the token has no readable chain");
  return chain.map(({ sub }) => sub);
}
