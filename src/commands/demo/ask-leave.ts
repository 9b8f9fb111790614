import { authorizeAction } from "@countersign/sdk/client/actions";
import type { Cast } from "./cast.ts";
import { expectThat } from "./narrator.ts";
import type { Stage } from "./stage.ts";

/**
 * The mail agent asks leave to read two files under its token: one that the details of its delegation let through, and
 * one that they don't. @throws UnexpectedOutcome
 */
export async function askLeave({ cli, server, narrator }: Stage, cast: Cast, token: string): Promise<void> {
  const identity = { issuer: server.issuer, ...cast.mailAgent };
  const ask = (path: string) => {
    const tool_call = { server: "files", tool: "read_file", arguments: { path } };
    return authorizeAction(cli, identity, token, { action: "read_file", scope: ["mail.read"], tool_call });
  };
  const inside = await ask("/data/invoice.pdf");
  const outside = await ask("/etc/passwd");
  expectThat(inside.decision === "allow", "a file under /data was not allowed");
  expectThat(
    outside.decision === "deny" && outside.code === "outside_details",
    `a file elsewhere was answered ${outside.decision}`,
  );
  narrator.tell(
    "It asks leave to read a file under /data, and one elsewhere, which is denied",
    "POST /v1/authorize action=read_file tool_call=files/read_file path=/data/invoice.pdf, then path=/etc/passwd",
    [
      `${inside.decision}: ${inside.action_id} by rule ${inside.rule}; recorded: log ${inside.ledger.log}, entry ${inside.ledger.index}`,
      `${outside.decision} ${outside.code}: ${outside.reason}`,
    ],
  );
}
