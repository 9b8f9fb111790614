import type { Client } from "@countersign/sdk/client/client";
import { makeKeyPair, type PrivateJwk } from "@countersign/sdk/client/key-pair";
import { signClientAssertion, signDpopProof } from "@countersign/sdk/client/sign";
import { delegationTokenType } from "@countersign/sdk/contract/access-token";
import {
  agentChangedSchema,
  delegationCreatedSchema,
  resourceCreatedSchema,
  userCreatedSchema,
} from "@countersign/sdk/contract/admin-api";
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
  const create = <Answer>(path: string, body: object, answer: z.ZodType<Answer>) =>
    operator.call({ method: "POST", path, body, scope: "admin" }, answer);

  const { id: alice } = await create("/v1/users", { name: "Alice" }, userCreatedSchema);
  const pair = await makeKeyPair();
  const body = { audience, scope: [scope, "mail.send"], owner: alice, jwk: pair.publicJwk };
  const made = await create("/v1/resources", body, resourceCreatedSchema);
  return {
    operator,
    alice,
    mailbox: { id: made.id, clientId: made.client_id, key: pair.privateJwk },
    async createAgent(name) {
      const { publicJwk, privateJwk } = await makeKeyPair();
      const agent = await create("/v1/agents", { owner: alice, name, jwk: publicJwk }, agentChangedSchema);
      return { id: agent.id, clientId: agent.client_id, key: privateJwk };
    },
    async grant(agent) {
      const grant = {
        from_user: alice,
        to_agent: agent.id,
        resource: audience,
        scope: [scope],
        max_depth: 3,
      };
      return (await create("/v1/delegations", grant, delegationCreatedSchema)).id;
    },
  };
}

/** An agent passes a delegation on to another. */
export async function narrow(from: Client, parent: string, to: Party): Promise<string> {
  const body = { parent, to_agent: to.id, resource: audience, scope: [scope] };
  const request = { method: "POST", path: "/v1/delegations", body, scope: "delegate" } as const;
  return (await from.call(request, delegationCreatedSchema)).id;
}

/** Takes authority away; `what` is the path of the act, such as `/v1/agents/ID/suspend`. */
export async function takeAway(operator: Client, what: string): Promise<{ readonly index: number }> {
  const receipt = z.looseObject({ ledger: z.looseObject({ index: z.number() }) });
  const answer = await operator.call({ method: "POST", path: what, scope: "admin" }, receipt);
  return answer.ledger;
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
    readonly method: "GET" | "POST";
    readonly path: string;
    readonly body?: string | Uint8Array;
    readonly contentType?: string;
  },
): Promise<Response> {
  const { method, path, body, contentType = "application/json" } = request;
  const deps = depsFor(installation.issuer, server);
  const url = `${installation.issuer}${path}`;
  const headers = {
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
