import { type Client, createClient } from "@countersign/sdk/client/client";
import { RefusedError } from "@countersign/sdk/client/client-error";
import { makeKeyPair, type PrivateJwk } from "@countersign/sdk/client/key-pair";
import {
  agentChangedSchema,
  delegationCreatedSchema,
  type RevocationReceiptWire,
  resourceCreatedSchema,
  revocationReceiptSchema,
  userCreatedSchema,
} from "@countersign/sdk/contract/admin-api";
import { operatorKeyPath } from "../../journeys/installation/operator-key-file.ts";
import { readKeyFile } from "../key-file.ts";
import { expectThat, UnexpectedOutcome } from "./narrator.ts";
import type { Stage } from "./story.ts";

interface Party {
  readonly id: string;
  readonly clientId: string;
  readonly key: PrivateJwk;
}

/** Everybody in the story, and what they were handed. */
export interface Cast {
  readonly operator: Client;
  readonly alice: string;
  readonly orchestrator: Party;
  readonly mailAgent: Party;
  readonly bobsAgent: Party;
  readonly mailbox: Party;
  readonly rootDelegation: string;
  readonly childDelegation: string;
  /** The mail agent tries to pass a scope on to Bob's agent; answers with the refusal. */
  tryToPassOn(scope: string): Promise<RefusedError>;
  revokeRootDelegation(): Promise<RevocationReceiptWire>;
}

/** Registers Alice, Bob, their agents and the mailbox, and makes the two delegations. */
export async function castPlayers(stage: Stage): Promise<Cast> {
  const { cli, server, mailbox, narrator } = stage;
  const operatorKey = await readKeyFile(operatorKeyPath(server.dataDir));
  expectThat(operatorKey.clientId !== undefined, "the operator's key file names no client");
  const clientOf = (clientId: string, key: PrivateJwk) =>
    createClient(cli, { issuer: server.issuer, clientId, key });
  const operator = clientOf(operatorKey.clientId, operatorKey.privateJwk);

  const alice = await registerUser(stage, operator, "Alice");
  const bob = await registerUser(stage, operator, "Bob");
  const orchestrator = await registerAgent(stage, operator, {
    owner: alice,
    name: "orchestrator",
    kind: "manager",
  });
  const mailAgent = await registerAgent(stage, operator, {
    owner: alice,
    name: "mail-agent",
    kind: "worker",
  });
  const bobsAgent = await registerAgent(stage, operator, { owner: bob, name: "bobs-agent", kind: "worker" });
  const mailboxParty = await registerMailbox(stage, operator, alice);

  const grant = { resource: mailbox.audience, scope: ["mail.read", "mail.send"], max_depth: 3 };
  const expiresAt = new Date(cli.now() + 3_600_000).toISOString();
  const root = await operator.call(
    post(
      "/v1/delegations",
      { from_user: alice, to_agent: orchestrator.id, ...grant, expires_at: expiresAt },
      "admin",
    ),
    delegationCreatedSchema,
  );
  narrator.tell(
    "Alice delegates reading and sending to the orchestrator",
    `countersign delegate --from ${alice} --to ${orchestrator.id} --resource ${mailbox.audience} --scope mail.read --scope mail.send --expires 1h --max-depth 3`,
    [
      `${root.id}: ${root.scope.join(" ")} until ${root.expires_at}, ${root.max_depth} further hops`,
      `asserted by ${root.asserted_by}; recorded: log ${root.ledger.log}, entry ${root.ledger.index}`,
    ],
  );

  const child = await clientOf(orchestrator.clientId, orchestrator.key).call(
    post(
      "/v1/delegations",
      { parent: root.id, to_agent: mailAgent.id, resource: mailbox.audience, scope: ["mail.read"] },
      "delegate",
    ),
    delegationCreatedSchema,
  );
  expectThat(
    child.scope.join(" ") === "mail.read",
    `the child delegation has scope ${child.scope.join(" ")}`,
  );
  narrator.tell(
    "The orchestrator passes only reading on to the mail agent, under its own token",
    `countersign delegate --from ${root.id} --key orchestrator.json --to ${mailAgent.id} --resource ${mailbox.audience} --scope mail.read`,
    [`${child.id}: ${child.scope.join(" ")} until ${child.expires_at}, path ${child.path.join(" → ")}`],
  );

  return {
    operator,
    alice,
    orchestrator,
    mailAgent,
    bobsAgent,
    mailbox: mailboxParty,
    rootDelegation: root.id,
    childDelegation: child.id,
    tryToPassOn: (scope) =>
      refusalOfCall(
        clientOf(mailAgent.clientId, mailAgent.key).call(
          post(
            "/v1/delegations",
            { parent: child.id, to_agent: bobsAgent.id, resource: mailbox.audience, scope: [scope] },
            "delegate",
          ),
          delegationCreatedSchema,
        ),
        `the mail agent passed on ${scope}`,
      ),
    revokeRootDelegation: () =>
      operator.call(
        { method: "POST", path: `/v1/delegations/${root.id}/revoke`, scope: "admin" },
        revocationReceiptSchema,
      ),
  };
}

async function registerUser({ narrator }: Stage, operator: Client, name: string): Promise<string> {
  const user = await operator.call(post("/v1/users", { name }, "admin"), userCreatedSchema);
  narrator.tell(`${name} is registered`, `countersign user create --name ${name}`, [
    `${user.id} (${user.name}); recorded: log ${user.ledger.log}, entry ${user.ledger.index}`,
  ]);
  return user.id;
}

async function registerAgent(
  { narrator }: Stage,
  operator: Client,
  agent: { owner: string; name: string; kind: string },
): Promise<Party> {
  const { publicJwk, privateJwk } = await makeKeyPair();
  const made = await operator.call(
    post("/v1/agents", { ...agent, jwk: publicJwk }, "admin"),
    agentChangedSchema,
  );
  narrator.tell(
    `${agent.name} gets an identity of its own`,
    `countersign agent create --owner ${agent.owner} --name ${agent.name} --kind ${agent.kind} --out ${agent.name}.json`,
    [
      `${made.spiffe_id}, owned by ${made.owner}; recorded: log ${made.ledger.log}, entry ${made.ledger.index}`,
    ],
  );
  return { id: made.id, clientId: made.client_id, key: privateJwk };
}

async function registerMailbox(
  { mailbox, narrator }: Stage,
  operator: Client,
  owner: string,
): Promise<Party> {
  const { publicJwk, privateJwk } = await makeKeyPair();
  const body = { audience: mailbox.audience, scope: ["mail.read", "mail.send"], owner, jwk: publicJwk };
  const made = await operator.call(post("/v1/resources", body, "admin"), resourceCreatedSchema);
  narrator.tell(
    "Alice's mailbox is registered",
    `countersign resource create --audience ${mailbox.audience} --scope mail.read --scope mail.send --owner ${owner}`,
    [`${made.id}: ${made.scope.join(" ")}, owned by ${made.owner}`],
  );
  return { id: made.id, clientId: made.client_id, key: privateJwk };
}

async function refusalOfCall(call: Promise<unknown>, what: string): Promise<RefusedError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof RefusedError) return error;
    throw error;
  }
  throw new UnexpectedOutcome(`unexpected outcome: ${what}, and it was not refused`);
}

function post(path: string, body: object, scope: string) {
  return { method: "POST", path, body, scope } as const;
}
