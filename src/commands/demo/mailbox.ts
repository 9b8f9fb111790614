import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { issuerKeys } from "@countersign/sdk/client/issuer-keys";
import { authenticateRequest } from "@countersign/sdk/verify/authenticate-request";
import { createProofReplayMemory } from "@countersign/sdk/verify/proof-replay";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { type Cli, CommandError } from "../cli.ts";

/** A small resource server that knows nothing of Countersign but its issuer's name and the SDK. */
export interface Mailbox {
  /** Its origin, which is its audience too. */
  readonly audience: string;
  close(): Promise<void>;
}

const scopeOfMethod: Readonly<Record<string, string>> = { GET: "mail.read", POST: "mail.send" };

/** Opens a mailbox of Alice's on a free port: to GET needs mail.read, to POST mail.send. */
export async function openMailbox(cli: Cli, issuer: string, messages: readonly string[]): Promise<Mailbox> {
  const deps = { keys: issuerKeys(issuer), replays: createProofReplayMemory(cli), now: cli.now };
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => refuse(response, error));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null)
    throw new CommandError("no_port", "no free port was found");
  const audience = `http://127.0.0.1:${address.port}`;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "", headers } = request;
    const presented = {
      method,
      url: `${audience}${url}`,
      authorization: headers.authorization,
      dpop: typeof headers["dpop"] === "string" ? headers["dpop"] : undefined,
    };
    const { claims, chain, scope } = await authenticateRequest(deps, presented, { issuer, audience });
    const needed = scopeOfMethod[method] ?? "";
    if (!scope.includes(needed)) {
      send(response, 403, { error: "insufficient_scope", needed });
      return;
    }
    send(response, 200, {
      mailbox_of: claims.sub,
      presented_by: chain[0]?.sub,
      on_behalf_through: chain.slice(1).map(({ sub }) => sub),
      allowed: scope,
      messages,
    });
  }

  return {
    audience,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

function refuse(response: ServerResponse, error: unknown): void {
  if (error instanceof VerificationError) send(response, 401, { error: error.code });
  else send(response, 503, { error: "can't verify now" });
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
