import type { Cast } from "./cast.ts";
import { expectThat } from "./narrator.ts";
import { callResource, oauthClient, redeemOnward, refusalOf } from "./oauth.ts";
import type { Stage } from "./stage.ts";
import { shownChain, tokenFacts } from "./token-facts.ts";

/**
 * The mail agent's token reaches two others: the archivist, whom Alice's grant lists onward, redeems it for the archive;
 * Bob's agent, whom nobody listed, can do nothing with it. @throws UnexpectedOutcome
 */
export async function handOn(stage: Stage, cast: Cast, token: string): Promise<void> {
  const { server, archive, narrator } = stage;
  const target = { token, resource: archive.audience, scope: "mail.read" };
  const how = (file: string) =>
    `POST /token as ${file}: grant_type=…:token-exchange subject_token=<the mail agent's token> subject_token_type=…:access_token resource=${archive.audience}`;

  const archivist = await oauthClient(server.issuer, cast.archivist.clientId, cast.archivist.key);
  const response = await redeemOnward(archivist, target);
  const { claims, ledger } = tokenFacts(response);
  const chain = shownChain(claims);
  const expected = [cast.archivist.clientId, cast.mailAgent.clientId, cast.orchestrator.clientId];
  expectThat(JSON.stringify(chain) === JSON.stringify(expected), `the chain is ${chain.join(", ")}`);
  expectThat(claims.sub === cast.alice, "the token is not on behalf of Alice");
  const found = await callResource(archivist, response.access_token, "GET", `${archive.audience}/search`);
  expectThat(found.status === 200, `the archive answered ${found.status}`);
  narrator.tell(
    "The archivist, whom the grant lists onward, redeems the token it was handed (RFC 8693)",
    how("archivist.json"),
    [
      `a token for ${claims.aud}, scope ${claims.scope}, presented by ${chain[0]}`,
      `through ${chain.slice(1).join(", ")}, in the same transaction ${claims.txn}`,
      `recorded: log ${ledger.log}, entry ${ledger.index}; the archive answers ${found.status} ${JSON.stringify(found.body)}`,
    ],
  );

  const bobsAgent = await oauthClient(server.issuer, cast.bobsAgent.clientId, cast.bobsAgent.key);
  const refusal = await refusalOf(redeemOnward(bobsAgent, target), "Bob's agent redeemed a stolen token");
  expectThat(refusal.error === "actor_unauthorized", `Bob's agent was refused as ${refusal.error}`);
  narrator.tell("Bob's agent got hold of the same token, and is refused", how("bobs-agent.json"), [
    `${refusal.status} ${refusal.error}: ${refusal.error_description ?? ""}`,
  ]);
}
