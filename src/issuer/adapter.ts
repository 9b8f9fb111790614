import { principalOf } from "@countersign/sdk/model/spiffe-id";
import type { Adapter, AdapterFactory, AdapterPayload } from "oidc-provider";
import { strictProfile } from "../domain/client.ts";
import type { AttestedClients } from "./attested-clients.ts";
import { clientMetadata } from "./client-metadata.ts";
import type { IssuerDeps, RegisteredClient } from "./issuer-deps.ts";
import { currentContext, currentRequest } from "./provider-seam.ts";
import { orOAuthError } from "./to-oauth-error.ts";

type AdapterDeps = Pick<
  IssuerDeps,
  "findClient" | "isUnavailable" | "keepPushedRequest" | "now" | "trustDomain"
>;

/**
 * What the library may read and keep: it reads clients, and keeps pushed authorization requests. Access tokens are
 * self-contained, replay protection and revocation are ours, and nobody can log in yet.
 */
export function createAdapter(deps: AdapterDeps, attested: AttestedClients): AdapterFactory {
  return (model) => {
    if (model === "Client") return clientAdapter(deps, attested);
    return model === "PushedAuthorizationRequest" ? pushedRequestAdapter(deps) : keepNothing(model);
  };
}

function clientAdapter(deps: AdapterDeps, attested: AttestedClients): Adapter {
  const find = async (clientId: string): Promise<AdapterPayload | undefined> => {
    // What can't be a client of ours costs no look-up.
    if (principalOf(deps.trustDomain, clientId) === undefined) return undefined;
    const request = currentRequest();
    const sender = request && attested.of(request);
    if (sender?.spiffeId === clientId && sender.proof.kind === "new_subject")
      return clientMetadata(newClient(clientId), true);
    const client = await orOAuthError(deps, deps.findClient(clientId));
    if (client === undefined) return undefined;
    const isAttested = sender !== undefined;
    // Who has no key can't be asked for a proof by it: without being attested that client can't get in, and so is none.
    return isAttested || client.jwks.keys.length > 0 ? clientMetadata(client, isAttested) : undefined;
  };
  return { ...keepNothing("Client"), find };
}

/** What a subject that was never seen is to the library until the journey makes an agent of it. */
function newClient(clientId: string): RegisteredClient {
  return { clientId, jwks: { keys: [] }, profile: strictProfile };
}

/** A pushed request belongs to the client that pushed it, which the library's payload does not say. */
function pushedRequestAdapter(deps: AdapterDeps): Adapter {
  const upsert = async (id: string, payload: AdapterPayload, expiresInSeconds: number): Promise<void> => {
    const clientId = currentContext().oidc.client?.clientId ?? "";
    const organization = principalOf(deps.trustDomain, clientId)?.organization;
    if (organization === undefined) throw new Error("no client is authenticated");
    const expiresAt = new Date(deps.now() + expiresInSeconds * 1000);
    const request = { id, organization, clientId, payload: JSON.stringify(payload), expiresAt };
    await orOAuthError(deps, deps.keepPushedRequest(request));
  };
  return { ...keepNothing("PushedAuthorizationRequest"), upsert };
}

function keepNothing(model: string): Adapter {
  const refuse = async () => {
    throw new Error(`the issuer keeps no ${model}`);
  };
  return {
    upsert: refuse,
    find: refuse,
    findByUserCode: refuse,
    findByUid: refuse,
    consume: refuse,
    destroy: refuse,
    revokeByGrantId: refuse,
  };
}
