import type { PrivateJwk } from "@countersign/sdk/client/key-pair";
import { publicJwkOf } from "@countersign/sdk/client/key-pair";
import { accessTokenType, delegationTokenType } from "@countersign/sdk/contract/access-token";
import { type CryptoKey, decodeJwt, importJWK } from "jose";
import {
  allowInsecureRequests,
  type ClientAuth,
  type Configuration,
  type DPoPHandle,
  discovery,
  fetchProtectedResource,
  genericGrantRequest,
  getDPoPHandle,
  PrivateKeyJwt,
  ResponseBodyError,
  tokenIntrospection,
} from "openid-client";
import { UnexpectedOutcome } from "./narrator.ts";

/** An OAuth client as any other product's: openid-client, knowing only the issuer's URL. */
export interface OauthClient {
  readonly clientId: string;
  readonly config: Configuration;
  readonly dpop: DPoPHandle;
}

/** Signs a client in to the issuer by discovery, with private_key_jwt and a DPoP key. */
export async function oauthClient(issuer: string, clientId: string, key: PrivateJwk): Promise<OauthClient> {
  const privateKey = await cryptoKey(key);
  return signIn(issuer, clientId, key, PrivateKeyJwt({ key: privateKey, ...(key.kid && { kid: key.kid }) }));
}

/**
 * Signs a client in with a JWT-SVID: the key is good for DPoP proofs only, and nobody registered it.
 *
 * @see draft-ietf-oauth-spiffe-client-auth, section 4.1
 */
export async function svidClient(issuer: string, svid: string, key: PrivateJwk): Promise<OauthClient> {
  return signIn(issuer, decodeJwt(svid).sub ?? "", key, (_issuer, client, body) => {
    body.set("client_id", client.client_id);
    body.set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe");
    body.set("client_assertion", svid);
  });
}

async function signIn(
  issuer: string,
  clientId: string,
  key: PrivateJwk,
  authentication: ClientAuth,
): Promise<OauthClient> {
  const privateKey = await cryptoKey(key);
  const publicKey = await cryptoKey(publicJwkOf(key));
  // The throwaway server speaks http, on loopback only.
  const options = { execute: [allowInsecureRequests] };
  const config = await discovery(new URL(issuer), clientId, undefined, authentication, options);
  return { clientId, config, dpop: getDPoPHandle(config, { privateKey, publicKey }) };
}

/** What a redeemed token is wanted for. */
interface Target {
  readonly resource: string;
  readonly scope: string;
}

/** Redeems a delegation by token exchange, for all of its tool calls unless told. */
export function redeem(
  client: OauthClient,
  { delegation, ...target }: Target & { delegation: string; authorization_details?: string },
) {
  return exchange(client, { subject_token: delegation, subject_token_type: delegationTokenType, ...target });
}

/** Redeems an access token that another agent was issued, by token exchange as RFC 8693 has it. */
export function redeemOnward(client: OauthClient, { token, ...target }: Target & { token: string }) {
  return exchange(client, { subject_token: token, subject_token_type: accessTokenType, ...target });
}

function exchange({ config, dpop }: OauthClient, parameters: Record<string, string>) {
  return genericGrantRequest(config, "urn:ietf:params:oauth:grant-type:token-exchange", parameters, {
    DPoP: dpop,
  });
}

/** The OAuth error with which a request is refused. @throws UnexpectedOutcome when it is not */
export async function refusalOf(request: Promise<unknown>, what: string): Promise<ResponseBodyError> {
  try {
    await request;
  } catch (error) {
    if (error instanceof ResponseBodyError) return error;
    throw error;
  }
  throw new UnexpectedOutcome(`unexpected outcome: ${what}, and it was not refused`);
}

/** Asks the issuer about a token, as the resource that it is meant for. */
export function introspect(resource: OauthClient, token: string) {
  return tokenIntrospection(resource.config, token);
}

/** Calls a resource server with a token and a proof. */
export async function callResource(client: OauthClient, token: string, method: string, url: string) {
  const response = await fetchProtectedResource(
    client.config,
    token,
    new URL(url),
    method,
    undefined,
    undefined,
    { DPoP: client.dpop },
  );
  const body: unknown = await response.json();
  return { status: response.status, body };
}

async function cryptoKey(jwk: Parameters<typeof importJWK>[0]): Promise<CryptoKey> {
  const key = await importJWK(jwk, "ES256", { extractable: true });
  if (key instanceof Uint8Array) throw new UnexpectedOutcome("unexpected outcome: a key pair without a key");
  return key;
}
