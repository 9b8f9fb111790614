import { type Cast, castPlayers } from "./cast.ts";
import { checkLedger } from "./check-ledger.ts";
import { handOn } from "./hand-on.ts";
import { expectThat } from "./narrator.ts";
import { narrowToken } from "./narrow-token.ts";
import { callResource, introspect, type OauthClient, oauthClient, redeem, refusalOf } from "./oauth.ts";
import { spendBudget } from "./spend-budget.ts";
import type { Stage } from "./stage.ts";
import { shownChain, tokenFacts } from "./token-facts.ts";
import { workWithoutSecret } from "./work-without-secret.ts";

/** What of the story the later scenes need. */
interface Issued {
  readonly token: string;
  readonly mailAgent: OauthClient;
  readonly log: string;
  readonly index: number;
}

/** The README's story, from the first user to the proof in the ledger. @throws UnexpectedOutcome */
export async function playStory(stage: Stage): Promise<void> {
  stage.narrator.tell("A server starts on its own PostgreSQL", "countersign serve --json --attest-own-uid", [
    `ready at ${stage.server.issuer}`,
  ]);
  const cast = await castPlayers(stage);
  const issued = await redeemAndCall(stage, cast);
  await narrowToken(stage, cast, issued.mailAgent);
  await handOn(stage, cast, issued.token);
  await tryToWiden(stage, cast, issued);
  await tryAsStranger(stage, cast);
  await spendBudget(stage, cast, issued.mailAgent);
  await revokeAndRetry(stage, cast, issued);
  await workWithoutSecret(stage, cast);
  await checkLedger(stage, cast.operator, issued);
}

async function redeemAndCall(stage: Stage, cast: Cast): Promise<Issued> {
  const { server, mailbox, narrator } = stage;
  const mailAgent = await oauthClient(server.issuer, cast.mailAgent.clientId, cast.mailAgent.key);
  const target = { delegation: cast.childDelegation, resource: mailbox.audience, scope: "mail.read" };
  const response = await redeem(mailAgent, target);
  const facts = tokenFacts(response);
  const { claims, ledger } = facts;
  expectThat(claims.sub === cast.alice, "the token is not on behalf of Alice");
  expectThat(claims.scope === "mail.read", `the token's scope is ${claims.scope}`);
  const chain = shownChain(claims);
  const expected = [cast.mailAgent.clientId, cast.orchestrator.clientId];
  expectThat(JSON.stringify(chain) === JSON.stringify(expected), `the chain is ${chain.join(", ")}`);
  narrator.tell(
    "The mail agent redeems its delegation by token exchange",
    `countersign token --key mail-agent.json --delegation ${cast.childDelegation} --resource ${mailbox.audience} --scope mail.read`,
    [
      `a ${response.token_type} token for ${claims.aud}, scope ${claims.scope}, ${response.expires_in} s`,
      `on behalf of ${claims.sub}, presented by ${chain[0]}, through ${chain.slice(1).join(", ")}`,
      `recorded before it was signed: log ${ledger.log}, entry ${ledger.index}`,
    ],
  );
  const inbox = await callResource(mailAgent, response.access_token, "GET", `${mailbox.audience}/inbox`);
  expectThat(inbox.status === 200, `the mailbox answered ${inbox.status}`);
  narrator.tell(
    "It calls the mailbox, which verifies the token and its chain",
    `GET ${mailbox.audience}/inbox`,
    [`${inbox.status} ${JSON.stringify(inbox.body)}`],
  );
  return { token: response.access_token, mailAgent, ...ledger };
}

async function tryToWiden({ mailbox, narrator }: Stage, cast: Cast, { mailAgent }: Issued): Promise<void> {
  const target = {
    delegation: cast.childDelegation,
    resource: mailbox.audience,
    scope: "mail.read mail.send",
  };
  const atExchange = await refusalOf(redeem(mailAgent, target), "the mail agent asked for mail.send");
  expectThat(atExchange.error === "invalid_scope", `widening was refused as ${atExchange.error}`);
  narrator.tell(
    "The mail agent asks for more than it was given, and is refused",
    `POST /token grant_type=…:token-exchange subject_token=${cast.childDelegation} scope="mail.read mail.send"`,
    [`${atExchange.status} ${atExchange.error}: ${atExchange.error_description ?? ""}`],
  );
  const passingOn = await cast.tryToPassOn("mail.send");
  expectThat(passingOn.code === "scope_widening", `passing on mail.send was refused as ${passingOn.code}`);
  narrator.tell(
    "It tries to pass on what it does not have, and is refused",
    `countersign delegate --from ${cast.childDelegation} --key mail-agent.json --to ${cast.bobsAgent.id} --resource ${mailbox.audience} --scope mail.send`,
    [`${passingOn.status} ${passingOn.code}: ${passingOn.message}`],
  );
}

async function tryAsStranger({ server, mailbox, narrator }: Stage, cast: Cast): Promise<void> {
  const bobsAgent = await oauthClient(server.issuer, cast.bobsAgent.clientId, cast.bobsAgent.key);
  const target = { delegation: cast.childDelegation, resource: mailbox.audience, scope: "mail.read" };
  const refusal = await refusalOf(redeem(bobsAgent, target), "Bob's agent presented Alice's delegation");
  expectThat(refusal.error === "invalid_request", `Bob's agent was refused as ${refusal.error}`);
  narrator.tell(
    "Bob's agent presents Alice's delegation, and is refused",
    `countersign token --key bobs-agent.json --delegation ${cast.childDelegation} --resource ${mailbox.audience} --scope mail.read`,
    [`${refusal.status} ${refusal.error}: ${refusal.error_description ?? ""}`],
  );
}

async function revokeAndRetry(stage: Stage, cast: Cast, { token, mailAgent }: Issued): Promise<void> {
  const { server, mailbox, narrator } = stage;
  const resource = await oauthClient(server.issuer, cast.mailbox.clientId, cast.mailbox.key);
  const before = await introspect(resource, token);
  expectThat(before.active, "the token was not active before the revocation");
  narrator.tell("The mailbox asks whether the token is still good", "POST /introspect", [
    `active: ${before.active}, sub ${before.sub}, scope ${before.scope}`,
  ]);
  const receipt = await cast.revokeRootDelegation();
  narrator.tell("Alice revokes what she granted", `countersign revoke delegation ${cast.rootDelegation}`, [
    `${receipt.revoked.kind} ${receipt.revoked.id} and all below it, complete as of ${receipt.complete_as_of}`,
    `recorded: log ${receipt.ledger.log}, entry ${receipt.ledger.index}`,
  ]);
  const target = { delegation: cast.childDelegation, resource: mailbox.audience, scope: "mail.read" };
  const refusal = await refusalOf(redeem(mailAgent, target), "the mail agent redeemed a revoked delegation");
  expectThat(refusal.error === "invalid_request", `the exchange was refused as ${refusal.error}`);
  const after = await introspect(resource, token);
  expectThat(!after.active, "the token is still active after the revocation");
  narrator.tell(
    "The next exchange and introspection fail at once",
    `countersign token --key mail-agent.json --delegation ${cast.childDelegation} --resource ${mailbox.audience} --scope mail.read`,
    [
      `${refusal.status} ${refusal.error}: ${refusal.error_description ?? ""}`,
      `POST /introspect: active: ${after.active}`,
    ],
  );
}
