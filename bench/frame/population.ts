import { randomBytes } from "node:crypto";
import { type Client, createClient } from "@countersign/sdk/client/client";
import { makeKeyPair, type PrivateJwk } from "@countersign/sdk/client/key-pair";
import { createAgent } from "@countersign/sdk/contract/agents";
import { createDelegation } from "@countersign/sdk/contract/delegations";
import { createResource } from "@countersign/sdk/contract/resources";
import { createUser } from "@countersign/sdk/contract/users";
import { readKeyFile } from "../../src/commands/key-file.ts";
import { operatorKeyPath } from "../../src/journeys/installation/operator-key-file.ts";
import type { BenchServer } from "./server.ts";

/** A client of the server. */
export interface Party {
  readonly id: string;
  readonly clientId: string;
  readonly key: PrivateJwk;
}

/** One agent of a chain, with the delegation that it was made. */
export interface Hop extends Party {
  readonly delegation: string;
}

/** Who was registered, and what was delegated to whom. */
export interface Population {
  /** The User who owns all of it. */
  readonly alice: string;
  readonly resource: Party & { readonly audience: string; readonly scope: string };
  /** From the User's own grantee on: each has passed the delegation on to the next. */
  readonly chains: readonly (readonly Hop[])[];
}

export const signDeps = { now: Date.now, randomBytes: (count: number) => new Uint8Array(randomBytes(count)) };

const audience = "https://mail.example";
const scope = "mail.read";

/** Registers a User, a Resource and chains of agents, all through the public API, as an operator and as the agents. */
export async function populate(
  server: Pick<BenchServer, "issuer" | "dataDir">,
  { chains, depth }: { readonly chains: number; readonly depth: number },
): Promise<Population> {
  const operator = await operatorOf(server);
  const alice = await operator.perform(createUser, { body: { name: "Alice" } });

  const resourceKey = await makeKeyPair();
  const resourceBody = { audience, scope: [scope], owner: alice.id, jwk: resourceKey.publicJwk };
  const resource = await operator.perform(createResource, { body: resourceBody });

  const makeChain = async () => {
    const hops: Hop[] = [];
    for (let place = 0; place < depth; place++) {
      const agent = await registerAgent(operator, alice.id);
      const grant = { to_agent: agent.id, resource: audience, scope: [scope] };
      const last = hops.at(-1);
      const delegation =
        last === undefined
          ? operator.perform(createDelegation, {
              body: { ...grant, from_user: alice.id, max_depth: depth - 1 },
            })
          : clientOf(server, last).perform(createDelegation, {
              body: { ...grant, parent: last.delegation },
              scope: "delegate",
            });
      hops.push({ ...agent, delegation: (await delegation).id });
    }
    return hops;
  };
  return {
    alice: alice.id,
    resource: {
      id: resource.id,
      clientId: resource.client_id,
      key: resourceKey.privateJwk,
      audience,
      scope,
    },
    chains: await Promise.all(Array.from({ length: chains }, makeChain)),
  };
}

/** The operator that the first start made. */
export async function operatorOf(server: Pick<BenchServer, "issuer" | "dataDir">): Promise<Client> {
  const { clientId = "", privateJwk } = await readKeyFile(operatorKeyPath(server.dataDir));
  return clientOf(server, { clientId, key: privateJwk });
}

function clientOf(
  { issuer }: Pick<BenchServer, "issuer">,
  { clientId, key }: Pick<Party, "clientId" | "key">,
): Client {
  return createClient({ ...signDeps, fetch }, { issuer, clientId, key });
}

/** Makes the owner an agent. */
export async function registerAgent(operator: Client, owner: string): Promise<Party> {
  const { publicJwk, privateJwk } = await makeKeyPair();
  const agent = await operator.perform(createAgent, {
    body: { owner, name: "worker", kind: "worker", jwk: publicJwk },
  });
  return { id: agent.id, clientId: agent.client_id, key: privateJwk };
}
