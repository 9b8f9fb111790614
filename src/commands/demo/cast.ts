import { type Client, createClient } from "@countersign/sdk/client/client";
import { RefusedError } from "@countersign/sdk/client/client-error";
import { makeKeyPair, type PrivateJwk } from "@countersign/sdk/client/key-pair";
import { createAgent } from "@countersign/sdk/contract/agents";
import { createDelegation, revokeDelegation } from "@countersign/sdk/contract/delegations";
import { createResource } from "@countersign/sdk/contract/resources";
import type { RevocationReceiptWire } from "@countersign/sdk/contract/revocation-receipt";
import { createUser } from "@countersign/sdk/contract/users";
import { operatorKeyPath } from "../../journeys/installation/operator-key-file.ts";
import { readKeyFile } from "../key-file.ts";
import { expectThat, UnexpectedOutcome } from "./narrator.ts";
import type { Stage } from "./stage.ts";

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
  /** The agent that keeps Alice's archive. */
  readonly archivist: Party;
  readonly bobsAgent: Party;
  readonly mailbox: Party;
  readonly archive: Party;
  readonly rootDelegation: string;
  readonly childDelegation: string;
  /** The mail agent tries to pass a scope on to Bob's agent; answers with the refusal. */
  tryToPassOn(scope: string): Promise<RefusedError>;
  revokeRootDelegation(): Promise<RevocationReceiptWire>;
}

type Registered = Pick<
  Cast,
  "alice" | "orchestrator" | "mailAgent" | "archivist" | "bobsAgent" | "mailbox" | "archive"
>;

/** How many tokens each delegation is good for. */
export const tokensOf = { orchestrator: 10, mailAgent: 4 } as const;

/** Registers Alice, Bob, their agents and Alice's two mailboxes, and makes the two delegations. */
export async function castPlayers(stage: Stage): Promise<Cast> {
  const operatorKey = await readKeyFile(operatorKeyPath(stage.server.dataDir));
  expectThat(operatorKey.clientId !== undefined, "the operator's key file names no client");
  const operator = clientOf(stage, { clientId: operatorKey.clientId, key: operatorKey.privateJwk });
  const parties = await registerAll(stage, operator);
  const rootDelegation = await grantToOrchestrator(stage, operator, parties);
  const childDelegation = await passOnReading(stage, parties, rootDelegation);
  const { mailAgent, bobsAgent } = parties;
  const resource = stage.mailbox.audience;
  return {
    ...parties,
    operator,
    rootDelegation,
    childDelegation,
    tryToPassOn: (scope) => {
      const body = { parent: childDelegation, to_agent: bobsAgent.id, resource, scope: [scope] };
      const call = clientOf(stage, mailAgent).perform(createDelegation, { body, scope: "delegate" });
      return refusalOfCall(call, `the mail agent passed on ${scope}`);
    },
    revokeRootDelegation: () => operator.perform(revokeDelegation, { params: { id: rootDelegation } }),
  };
}

function clientOf({ cli, server }: Stage, party: Pick<Party, "clientId" | "key">): Client {
  return createClient(cli, { issuer: server.issuer, clientId: party.clientId, key: party.key });
}

async function registerAll(stage: Stage, operator: Client): Promise<Registered> {
  const alice = await registerUser(stage, operator, "Alice");
  const bob = await registerUser(stage, operator, "Bob");
  return {
    alice,
    orchestrator: await registerAgent(stage, operator, {
      owner: alice,
      name: "orchestrator",
      kind: "manager",
    }),
    mailAgent: await registerAgent(stage, operator, { owner: alice, name: "mail-agent", kind: "worker" }),
    archivist: await registerAgent(stage, operator, { owner: alice, name: "archivist", kind: "tool" }),
    bobsAgent: await registerAgent(stage, operator, { owner: bob, name: "bobs-agent", kind: "worker" }),
    mailbox: await registerMailbox(stage, operator, "mailbox", alice),
    archive: await registerMailbox(stage, operator, "archive", alice),
  };
}

async function grantToOrchestrator(
  { cli, mailbox: { audience }, archive, narrator }: Stage,
  operator: Client,
  { alice, orchestrator, archivist }: Registered,
): Promise<string> {
  const body = {
    from_user: alice,
    to_agent: orchestrator.id,
    resource: audience,
    scope: ["mail.read", "mail.send"],
    max_depth: 3,
    budget: { tokens: tokensOf.orchestrator },
    onward: [{ agent: archivist.id, resource: archive.audience, scope: ["mail.read"] }],
    expires_at: new Date(cli.now() + 3_600_000).toISOString(),
  };
  const root = await operator.perform(createDelegation, { body });
  narrator.tell(
    "Alice delegates reading and sending to the orchestrator",
    `countersign delegate --from ${alice} --to ${orchestrator.id} --resource ${audience} --scope mail.read --scope mail.send --expires 1h --max-depth 3 --budget tokens=${tokensOf.orchestrator} --onward "${archivist.id} ${archive.audience} mail.read"`,
    [
      `${root.id}: ${root.scope.join(" ")} until ${root.expires_at}, ${root.max_depth} further hops, ${root.budget["tokens"]} tokens`,
      ...root.onward.map(
        ({ agent, resource, scope }) => `onward: ${agent} may ${scope.join(" ")} at ${resource}`,
      ),
      `asserted by ${root.asserted_by}; recorded: log ${root.ledger.log}, entry ${root.ledger.index}`,
    ],
  );
  return root.id;
}

async function passOnReading(
  stage: Stage,
  { orchestrator, mailAgent, archivist }: Registered,
  parent: string,
): Promise<string> {
  const { audience } = stage.mailbox;
  const archive = stage.archive.audience;
  const body = {
    parent,
    to_agent: mailAgent.id,
    resource: audience,
    scope: ["mail.read"],
    budget: { tokens: tokensOf.mailAgent },
    onward: [{ agent: archivist.id, resource: archive, scope: ["mail.read"] }],
  };
  const child = await clientOf(stage, orchestrator).perform(createDelegation, { body, scope: "delegate" });
  expectThat(
    child.scope.join(" ") === "mail.read",
    `the child delegation has scope ${child.scope.join(" ")}`,
  );
  stage.narrator.tell(
    "The orchestrator passes only reading on to the mail agent, under its own token",
    `countersign delegate --from ${parent} --key orchestrator.json --to ${mailAgent.id} --resource ${audience} --scope mail.read --budget tokens=${tokensOf.mailAgent} --onward "${archivist.id} ${archive} mail.read"`,
    [
      `${child.id}: ${child.scope.join(" ")} until ${child.expires_at}, ${child.budget["tokens"]} tokens`,
      `path ${child.path.join(" → ")}`,
    ],
  );
  return child.id;
}

async function registerUser({ narrator }: Stage, operator: Client, name: string): Promise<string> {
  const user = await operator.perform(createUser, { body: { name } });
  narrator.tell(`${name} is registered`, `countersign user create --name ${name}`, [
    `${user.id} (${user.name}); recorded: log ${user.ledger.log}, entry ${user.ledger.index}`,
  ]);
  return user.id;
}

async function registerAgent(
  { narrator }: Stage,
  operator: Client,
  agent: { owner: string; name: string; kind: "manager" | "worker" | "tool" },
): Promise<Party> {
  const { publicJwk, privateJwk } = await makeKeyPair();
  const made = await operator.perform(createAgent, { body: { ...agent, jwk: publicJwk } });
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
  { narrator, ...stage }: Stage,
  operator: Client,
  name: "mailbox" | "archive",
  owner: string,
): Promise<Party> {
  const { audience } = stage[name];
  const { publicJwk, privateJwk } = await makeKeyPair();
  const body = { audience, scope: ["mail.read", "mail.send"], owner, jwk: publicJwk };
  const made = await operator.perform(createResource, { body });
  narrator.tell(
    `Alice's ${name} is registered`,
    `countersign resource create --audience ${audience} --scope mail.read --scope mail.send --owner ${owner}`,
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
