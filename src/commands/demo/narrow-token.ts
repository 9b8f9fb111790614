import { authorizeAction } from "@countersign/sdk/client/actions";
import type { Cast } from "./cast.ts";
import { expectThat } from "./narrator.ts";
import { type OauthClient, redeem } from "./oauth.ts";
import type { Stage } from "./stage.ts";
import { tokenFacts } from "./token-facts.ts";

const details = JSON.stringify([
  { type: "tool_call", server: "files", tools: ["read_file"], arguments: { path: { prefix: "/data" } } },
]);

/**
 * The mail agent gets a token of less than its delegation, for reading files under /data, and asks leave to read two: one
 * there, and one elsewhere. @throws UnexpectedOutcome
 */
export async function narrowToken(stage: Stage, cast: Cast, mailAgent: OauthClient): Promise<void> {
  const { cli, server, mailbox, narrator } = stage;
  const target = { delegation: cast.childDelegation, resource: mailbox.audience, scope: "mail.read" };
  const response = await redeem(mailAgent, { ...target, authorization_details: details });
  const granted = JSON.stringify(tokenFacts(response).claims.authorization_details);
  expectThat(granted === details, `the token is limited to ${granted}`);

  const identity = { issuer: server.issuer, ...cast.mailAgent };
  const askLeave = (path: string) => {
    const tool_call = { server: "files", tool: "read_file", arguments: { path } };
    const action = { action: "read_file", scope: ["mail.read"], tool_call };
    return authorizeAction(cli, identity, response.access_token, action);
  };
  const inside = await askLeave("/data/invoice.pdf");
  expectThat(inside.decision === "allow", "a file under /data was not allowed");
  const outside = await askLeave("/etc/passwd");
  const isOutside = outside.decision === "deny" && outside.code === "outside_details";
  expectThat(isOutside, `a file elsewhere was answered ${outside.decision}`);
  narrator.tell(
    "It gets a token for reading files under /data only, and asks leave to read one there and one elsewhere",
    `countersign token --key mail-agent.json --delegation ${cast.childDelegation} --scope mail.read --details '${details}', then POST /v1/authorize`,
    [
      `/data/invoice.pdf: ${inside.decision}, ${inside.action_id}; recorded: log ${inside.ledger.log}, entry ${inside.ledger.index}`,
      `/etc/passwd: ${outside.decision}, ${outside.code}: ${outside.reason}`,
    ],
  );
}
