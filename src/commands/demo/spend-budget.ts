import { type Cast, tokensOf } from "./cast.ts";
import { expectThat } from "./narrator.ts";
import { type OauthClient, redeem, refusalOf } from "./oauth.ts";
import type { Stage } from "./stage.ts";
import { tokenFacts } from "./token-facts.ts";

/** Tokens that were issued under the mail agent's delegation before: its own two, and the archivist's. */
const spentBefore = 3;

/** The mail agent redeems its delegation until the budget is spent. @throws UnexpectedOutcome */
export async function spendBudget(stage: Stage, cast: Cast, mailAgent: OauthClient): Promise<void> {
  const { mailbox, narrator } = stage;
  const target = { delegation: cast.childDelegation, resource: mailbox.audience, scope: "mail.read" };
  const entries: number[] = [];
  for (let spent = spentBefore; spent < tokensOf.mailAgent; spent++) {
    entries.push(tokenFacts(await redeem(mailAgent, target)).ledger.index);
  }
  const refusal = await refusalOf(redeem(mailAgent, target), "more tokens were issued than the budget has");
  const detail = refusal.error_description ?? "";
  expectThat(
    detail.includes("budget"),
    `the token after the last was refused as ${refusal.error}: ${detail}`,
  );
  narrator.tell(
    "The mail agent goes on until its budget is spent: the token after the last is refused",
    `countersign token --key mail-agent.json --delegation ${cast.childDelegation} --resource ${mailbox.audience} --scope mail.read`,
    [
      `${spentBefore + entries.length} of ${tokensOf.mailAgent} tokens, the last recorded as entry ${entries.at(-1)}`,
      `${refusal.status} ${refusal.error}: ${detail}`,
    ],
  );
}
