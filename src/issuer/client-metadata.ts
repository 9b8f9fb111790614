import type { X509Certificate } from "node:crypto";
import { principalOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { Client, ClientMetadata } from "oidc-provider";
import type { RegisteredClient } from "./issuer-deps.ts";
import { tokenExchangeGrantType } from "./token-exchange-request.ts";
import { jwtBearerGrantType } from "./trusted-assertion.ts";

/** What the library keeps of a client for us beside its own metadata. */
export const extraClientMetadata = { properties: ["dpop_nonce_required", "compat"] };

/**
 * A client as the library takes it. Every client may ask by every grant that works: a journey decides, and records that it
 * did. Those with redirect URIs may push authorization requests.
 *
 * @param isAttested whether this request came with an SVID of the client, or an assertion that it is the client's: it then
 *   authenticates by that, whatever else it could
 */
export function clientMetadata(
  { clientId, jwks, profile }: RegisteredClient,
  isAttested: boolean,
): ClientMetadata {
  const { redirectUris, authMethod, dpopNonceRequired, compat, secretVerifier } = profile;
  const signsIn = redirectUris.length > 0;
  return {
    client_id: clientId,
    jwks: { keys: [...jwks.keys] },
    grant_types: ["client_credentials", tokenExchangeGrantType, jwtBearerGrantType],
    response_types: signsIn ? ["code"] : [],
    redirect_uris: [...redirectUris],
    ...authenticationOf(isAttested ? "self_signed_tls_client_auth" : authMethod, clientId),
    // Never the secret: what it is compared with, which the seam knows how to.
    ...(secretVerifier !== undefined && { client_secret: secretVerifier }),
    dpop_nonce_required: dpopNonceRequired,
    compat,
  };
}

function authenticationOf(method: RegisteredClient["profile"]["authMethod"], clientId: string) {
  if (method !== "self_signed_tls_client_auth") return { token_endpoint_auth_method: method };
  // The library's own wants whole certificates registered. Ours are known by their keys, which its hooks for
  // certificates of a CA let us compare.
  return { token_endpoint_auth_method: "tls_client_auth" as const, tls_client_auth_san_uri: clientId };
}

/** Whether each of the client's DPoP proofs must bear a nonce. */
export function isNonceRequired(client: Client | undefined): boolean {
  return client?.["dpop_nonce_required"] === true;
}

/** Whether it administers: its tokens are the whole installation. */
export function isOperator(
  { trustDomain }: { readonly trustDomain: TrustDomain },
  client: Client | undefined,
): boolean {
  return principalOf(trustDomain, client?.clientId ?? "")?.kind === "operator";
}

/** Whether an operator let the client in by what older ones need. */
export function isCompat(client: Client | undefined): boolean {
  return client?.["compat"] === true;
}

/** Whether one of the client's keys has this thumbprint, which is the `kid` that each was registered under. */
export function hasKeyId(client: Client | undefined, thumbprint: string): boolean {
  return (client?.jwks?.keys ?? []).some(({ kid }) => kid === thumbprint);
}

/** Whether a certificate's key is one of the client's: whoever showed it in a handshake holds the private half. */
export function hasKeyOf(client: Client | undefined, { publicKey }: X509Certificate): boolean {
  if (publicKey.asymmetricKeyType !== "ec") return false;
  const { crv, x, y } = publicKey.export({ format: "jwk" });
  const keys = client?.jwks?.keys ?? [];
  return keys.some((key) => key.kty === "EC" && key.crv === crv && key.x === x && key.y === y);
}
