import { hash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { AccessTokenClaims, Confirmation } from "@countersign/sdk/contract/access-token";
import { parseScope, type Scope } from "@countersign/sdk/model/scope";
import { type Principal, principalOf, type SpiffeId } from "@countersign/sdk/model/spiffe-id";
import {
  type AccessToken,
  type ClientCredentials,
  errors,
  type JWTStructured,
  type KoaContextWithOIDC,
  type ResourceServer,
} from "oidc-provider";
import type { RequestContext } from "../journeys/record/record.ts";
import type { IssueRequest } from "../journeys/token/issue.ts";
import type { PreparedToken } from "../journeys/token/prepared-token.ts";
import { type AttestedClients, pinToKey } from "./attested-clients.ts";
import { hasKeyId, hasKeyOf } from "./client-metadata.ts";
import type { IssuerDeps, RequestPlace } from "./issuer-deps.ts";
import { currentContext } from "./provider-seam.ts";
import { requestIdOf } from "./request-id.ts";
import { unnamedResource } from "./request-parameter.ts";
import { oauthErrorOf, orOAuthError } from "./to-oauth-error.ts";

/**
 * What a journey recorded for each request under way. Nothing else is ever signed: the customizer installs these
 * claims, and the signing key compares what it is given with them, octet by octet.
 */
export interface Issuance {
  /** Keeps what the request's journey recorded, once. */
  readonly keep: (ctx: KoaContextWithOIDC, prepared: PreparedToken) => void;
  readonly preparedFor: (ctx: KoaContextWithOIDC) => PreparedToken | undefined;
  /** `formats.customizers.jwt`: makes the token the recorded one, or throws. */
  readonly install: (
    ctx: KoaContextWithOIDC,
    token: AccessToken | ClientCredentials,
    parts: JWTStructured,
  ) => Promise<void>;
  /** Throws for a signing input that is no access token, or whose payload is not exactly the recorded claims. */
  readonly assertRecorded: (signingInput: Uint8Array) => void;
}

/** @param deps whose `issueToken` is called for a token that no journey has prepared yet: client_credentials. */
export function createIssuance(deps: IssuerDeps, attested: AttestedClients): Issuance {
  const prepared = new WeakMap<KoaContextWithOIDC, PreparedToken & { readonly payload: string }>();

  function keep(ctx: KoaContextWithOIDC, token: PreparedToken): void {
    if (prepared.has(ctx)) throw new Error("a request can have one token only");
    prepared.set(ctx, { ...token, payload: JSON.stringify(token.claims) });
  }

  async function issue(
    ctx: KoaContextWithOIDC,
    token: ClientCredentials | AccessToken,
  ): Promise<PreparedToken> {
    const resource = token.resourceServer?.identifier();
    refuseDetails(ctx);
    const request = {
      ...(await tokenRequestOf({ deps, attested }, ctx, token.jkt)),
      ...(resource !== undefined && resource !== unnamedResource && { resource }),
    };
    const issued = await orOAuthError(deps, deps.issueToken(request));
    keep(ctx, issued);
    return issued;
  }

  return {
    keep,
    preparedFor: (ctx) => prepared.get(ctx),
    async install(ctx, token, parts) {
      const { claims } = prepared.get(ctx) ?? (await issue(ctx, token));
      assertMeant({ deps, attested }, ctx, token, claims);
      parts.payload = { ...claims };
      // What the response says of the token; the types don't know that its lifetime can be set.
      Object.assign(token, { scope: claims.scope, expiresIn: claims.exp - claims.iat });
    },
    assertRecorded(signingInput) {
      const recorded = prepared.get(currentContext())?.payload;
      const [header = "", payload = ""] = Buffer.from(signingInput)
        .toString("latin1")
        .split(".")
        .map(decoded);
      const { typ }: { readonly typ?: unknown } = JSON.parse(header);
      if (typ !== "at+jwt" || payload !== recorded) {
        throw new Error("what is to be signed is not what was recorded");
      }
    },
  };
}

/**
 * The part of the request that both grants share.
 *
 * @param jkt thumbprint of the key that the client proved to hold
 * @throws errors.InvalidScope, errors.InvalidDpopProof
 */
export async function tokenRequestOf(
  { deps, attested }: { readonly deps: IssuerDeps; readonly attested: AttestedClients },
  ctx: KoaContextWithOIDC,
  jkt: string | undefined,
): Promise<Omit<IssueRequest, "resource">> {
  const client = authenticatedPrincipal(deps, ctx);
  const confirmation = confirmationOf(deps, ctx, jkt);
  // A stolen operator's token would be the whole installation, and so would an assertion that was signed in advance, if who
  // took it could bind the token to a key of their own.
  if (client.kind === "operator" && !isByOwnKey(deps, ctx, jkt)) {
    throw new errors.InvalidDpopProof("an operator's token is bound to its own key: send a DPoP proof by it");
  }
  const scope = scopeOfRequest(ctx);
  const sender = attested.of(ctx.req);
  await pinToKey(deps, sender, jkt);
  return {
    client,
    ...(scope !== undefined && { scope }),
    ...(confirmation && { confirmation }),
    context: { ...requestContextOf(ctx), ...(sender && { restsOn: sender.proof }) },
  };
}

/**
 * The key that the token is bound to: that of the DPoP proof, or else that of the certificate which the client presents.
 *
 * @see RFC 9449, section 6; RFC 8705, section 3
 */
function confirmationOf(
  deps: Pick<IssuerDeps, "certificateOf">,
  ctx: KoaContextWithOIDC,
  jkt: string | undefined,
): Confirmation | undefined {
  if (jkt !== undefined) return { jkt };
  const certificate = deps.certificateOf(ctx.req);
  return certificate && { "x5t#S256": hash("sha256", certificate.raw, "base64url") };
}

/** Whether the key that the token will be bound to is one that the client registered. */
function isByOwnKey(
  deps: Pick<IssuerDeps, "certificateOf">,
  { req, oidc: { client } }: KoaContextWithOIDC,
  jkt: string | undefined,
): boolean {
  if (jkt !== undefined) return hasKeyId(client, jkt);
  const certificate = deps.certificateOf(req);
  return certificate !== undefined && hasKeyOf(client, certificate);
}

/** Who the request's client is. @throws Error before client authentication, which is a mistake of ours */
export function authenticatedPrincipal(
  deps: Pick<IssuerDeps, "trustDomain">,
  ctx: KoaContextWithOIDC,
): Principal {
  const principal = principalOf(deps.trustDomain, ctx.oidc.client?.clientId ?? "");
  if (principal === undefined) throw new Error("no client is authenticated");
  return principal;
}

/** What its journeys know a request by. */
export function requestContextOf(ctx: KoaContextWithOIDC): RequestContext {
  return { requestId: requestIdOf(ctx.req) };
}

/** Which request it is, for the log. */
export function requestPlaceOf(ctx: KoaContextWithOIDC): RequestPlace {
  const clientId = ctx.oidc?.client?.clientId;
  return { ...requestContextOf(ctx), endpoint: ctx.path, ...(clientId !== undefined && { clientId }) };
}

/** How the library shall make a token for a resource: as a JWT, with the active key, and with the scope as asked. */
export function resourceServerOf(resource: string, scope: unknown, kid: string): ResourceServer {
  return {
    audience: resource,
    scope: typeof scope === "string" ? scope : "",
    accessTokenFormat: "jwt",
    jwt: { sign: { alg: "ES256", kid } },
  };
}

/** @throws errors.InvalidAuthorizationDetails: to leave a restriction out would issue more than the client wanted */
export function refuseDetails(ctx: KoaContextWithOIDC): void {
  if (!ctx.oidc.body?.["authorization_details"]) return;
  throw new errors.InvalidAuthorizationDetails(
    "authorization_details narrow a delegation: a client that speaks for itself has none to narrow",
  );
}

function decoded(part: string): string {
  return Buffer.from(part, "base64url").toString();
}

function scopeOfRequest(ctx: KoaContextWithOIDC): Scope | undefined {
  const text = ctx.oidc.params?.["scope"];
  if (typeof text !== "string") return undefined;
  const scope = parseScope(text);
  if (scope === undefined) throw oauthErrorOf(400, "invalid_scope", "scope tokens are too many, or too long");
  return scope;
}

interface MeantFor {
  readonly deps: Pick<IssuerDeps, "certificateOf" | "issuer" | "trustDomain">;
  readonly attested: AttestedClients;
}

/** A journey can't be made to speak for another client, nor to bind a token to a key that was not proven. */
function assertMeant(
  { deps, attested }: MeantFor,
  ctx: KoaContextWithOIDC,
  token: AccessToken | ClientCredentials,
  claims: AccessTokenClaims,
): void {
  const sender = attested.of(ctx.req);
  const isItsClient =
    sender?.proof.kind === "new_subject"
      ? isOfNewAgent(deps, sender.spiffeId, claims)
      : claims.client_id === token.clientId;
  const isBound = isDeepStrictEqual(claims.cnf, confirmationOf(deps, ctx, token.jkt));
  if (claims.iss !== deps.issuer || !isItsClient || !isBound)
    throw new Error("the recorded claims are not those of this request");
}

/**
 * Whether claims are of an agent that speaks for itself, in the organization of a subject that was never seen. Which one it is
 * only the journey knows: another request may have come first, and made the subject another agent than was kept for it.
 */
function isOfNewAgent(
  { trustDomain }: Pick<IssuerDeps, "trustDomain">,
  kept: SpiffeId,
  { client_id, sub, org, act, delegation }: AccessTokenClaims,
): boolean {
  const made = principalOf(trustDomain, client_id);
  return (
    made?.kind === "agent" &&
    made.organization === principalOf(trustDomain, kept)?.organization &&
    made.organization === org &&
    sub === client_id &&
    act === undefined &&
    delegation === undefined
  );
}
