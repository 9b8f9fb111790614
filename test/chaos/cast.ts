import type { Client } from "@countersign/sdk/client/client";
import { makeKeyPair, type PrivateJwk } from "@countersign/sdk/client/key-pair";
import { signClientAssertion, signDpopProof } from "@countersign/sdk/client/sign";
import { delegationTokenType } from "@countersign/sdk/contract/access-token";
import { createAgent } from "@countersign/sdk/contract/agents";
import { createDelegation } from "@countersign/sdk/contract/delegations";
import type { LedgerPosition } from "@countersign/sdk/contract/fields";
import type { ActOnOne } from "@countersign/sdk/contract/operation";
import { createResource } from "@countersign/sdk/contract/resources";
import { createUser } from "@countersign/sdk/contract/users";
import { z } from "zod";
import { type At, depsFor, type Installation, type Party } from "../server.ts";

export const audience = "https://mail.example/";
export const scope = "mail.read";

/** A User, a Resource of theirs, and whatever else an operator makes for them. */
export interface Cast {
  readonly operator: Client;
  readonly alice: string;
  readonly mailbox: Party;
  createAgent(name: string): Promise<Party>;
  /** Alice's root grant on the mailbox. */
  grant(agent: Party): Promise<string>;
}

/** Registers Alice and her mailbox through one server. */
export async function castPlayers(installation: Installation, server: At): Promise<Cast> {
  const operator = await installation.operatorAt(server);
  const { id: alice } = await operator.perform(createUser, { body: { name: "Alice" } });
  const pair = await makeKeyPair();
  const body = { audience, scope: [scope, "mail.send"], owner: alice, jwk: pair.publicJwk };
  const made = await operator.perform(createResource, { body });
  return {
    operator,
    alice,
    mailbox: { id: made.id, clientId: made.client_id, key: pair.privateJwk },
    async createAgent(name) {
      const { publicJwk, privateJwk } = await makeKeyPair();
      const body = { owner: alice, name, jwk: publicJwk };
      const agent = await operator.perform(createAgent, { body });
      return { id: agent.id, clientId: agent.client_id, key: privateJwk };
    },
    async grant(agent) {
      const body = {
        from_user: alice,
        to_agent: agent.id,
        resource: audience,
        scope: [scope],
        max_depth: 3,
      };
      return (await operator.perform(createDelegation, { body })).id;
    },
  };
}

/** An agent passes a delegation on to another. */
export async function narrow(from: Client, parent: string, to: Party): Promise<string> {
  const body = { parent, to_agent: to.id, resource: audience, scope: [scope] };
  return (await from.perform(createDelegation, { body, scope: "delegate" })).id;
}

/** An operation that takes authority away from one agent or delegation. */
export type TakingAway = ActOnOne<z.ZodType<{ readonly ledger: LedgerPosition }>>;

/** Takes authority away; answers where that is recorded. */
export async function takeAway(operator: Client, act: TakingAway, id: string): Promise<LedgerPosition> {
  return (await operator.perform(act, { params: { id } })).ledger;
}

/** The form of an authenticated request to an OAuth endpoint. */
export async function signedForm(
  installation: Installation,
  { clientId, key }: Omit<Party, "id">,
  parameters: Record<string, string>,
): Promise<URLSearchParams> {
  const deps = depsFor(installation.issuer, { url: installation.issuer });
  return new URLSearchParams({
    ...parameters,
    client_id: clientId,
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion: await signClientAssertion(deps, { issuer: installation.issuer, clientId, key }),
  });
}

/** Answers with the answer itself, whatever it is. */
export async function callApi(
  installation: Installation,
  server: { readonly url: string },
  caller: { readonly key: PrivateJwk; readonly accessToken: string },
  request: {
    readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
    readonly path: string;
    readonly body?: string | Uint8Array;
    readonly contentType?: string;
    readonly headers?: Readonly<Record<string, string>>;
  },
): Promise<Response> {
  const { method, path, body, contentType = "application/json" } = request;
  const deps = depsFor(installation.issuer, server);
  const url = `${installation.issuer}${path}`;
  const headers = {
    ...request.headers,
    authorization: `DPoP ${caller.accessToken}`,
    dpop: await signDpopProof(deps, { ...caller, method, url }),
    ...(body !== undefined && { "content-type": contentType }),
  };
  return deps.fetch(url, { method, headers, ...(body !== undefined && { body }) });
}

/** The parameters that redeem a delegation. */
export const exchangeOf = (delegation: string) => ({
  grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
  subject_token: delegation,
  subject_token_type: delegationTokenType,
  resource: audience,
});

/** Whether a server takes the token for an active one, asked by its audience. */
export async function isActive(
  installation: Installation,
  server: { readonly url: string },
  resource: Party,
  token: string,
): Promise<boolean> {
  const body = await signedForm(installation, resource, { token });
  const response = await fetch(`${server.url}/introspect`, { method: "POST", body });
  if (!response.ok) throw new Error(`/introspect answered ${response.status}`);
  return z.looseObject({ active: z.boolean() }).parse(await response.json()).active;
}
