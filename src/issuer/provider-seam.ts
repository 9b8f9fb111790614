import type { IncomingMessage } from "node:http";
import type { Client, KoaContextWithOIDC, Provider } from "oidc-provider";
import contexts from "oidc-provider/lib/helpers/als.js";
import ServerChallenge, { CHALLENGE_OK_WINDOW } from "oidc-provider/lib/helpers/challenge.js";
import LRU from "oidc-provider/lib/helpers/lru.js";
import internalsOf from "oidc-provider/lib/helpers/weak_cache.js";
import assembleParams from "oidc-provider/lib/shared/assemble_params.js";
import clientAuthentication, { getClientAuthParams } from "oidc-provider/lib/shared/client_auth.js";
import errorHandler from "oidc-provider/lib/shared/error_handler.js";
import noCache from "oidc-provider/lib/shared/no_cache.js";
import rejectDuplicates from "oidc-provider/lib/shared/reject_dupes.js";
import { urlencoded } from "oidc-provider/lib/shared/selective_body.js";

// The only module that reaches into oidc-provider. Nothing here is covered by its semantic versioning: the tests of
// test/issuer/ stand guard over each export.
export {
  buildTokenResponse,
  checkDpopReplay,
  validateDpop,
} from "oidc-provider/lib/helpers/grants.js";

/** What a DPoP proof is asked to bear, so that it can't have been made long ago. */
export interface DpopNonces {
  /** The one to hand out now. */
  readonly next: () => string;
  /** Whether it was handed out within the last minutes, by whichever process. */
  readonly accepts: (nonce: string) => boolean;
}

/** A step of a request, as Koa knows it. */
export type Middleware = (ctx: KoaContextWithOIDC, next: () => Promise<void>) => Promise<void> | void;

/** Seconds by which a DPoP proof may be older, or newer, than now. */
export const dpopWindowSeconds = CHALLENGE_OK_WINDOW;

/** The nonces that a provider with this `dPoP.nonceSecret` hands out and takes, for endpoints that it does not serve. */
export function dpopNoncesOf(secret: Uint8Array): DpopNonces {
  const challenge = new ServerChallenge(Buffer.from(secret), "DPoP");
  return {
    next: () => challenge.nextChallenge(),
    accepts: (nonce) => challenge.checkChallenge(nonce),
  };
}

/** Lets the provider keep this many parsed clients, with their imported keys, instead of its 100. */
export function keepClients(provider: Provider, clientsMax: number): void {
  internalsOf(provider).dynamicClients = new LRU<Client>({ maxSize: clientsMax });
}

/** Takes a grant type that the configuration implies out of the metadata and off the token endpoint. */
export function withdrawGrantType(provider: Provider, grantType: string): void {
  internalsOf(provider).configuration.grantTypes.delete(grantType);
}

/** Which names a provider goes by. */
export interface Names {
  /** The origin under which the client sent this request. */
  readonly originAsked: (request: IncomingMessage) => string;
  /** Whether the token endpoint too may be the audience of this client's assertions. */
  readonly takesTokenEndpoint: (client: Client | undefined) => boolean;
}

/**
 * Derives every URL the provider compares or publishes from its issuer, and accepts nothing else as the audience of
 * a client assertion. The library would derive them from the request's Host header, which the caller chooses.
 *
 * @see RFC 7523bis, section 4: `aud` is the issuer; RFC 9449, section 4.3: `htu` is the endpoint's own URI; RFC 8705,
 *   section 5: which may be its alias
 */
export function pinToIssuer(provider: Provider, { originAsked, takesTokenEndpoint }: Names): void {
  const { prototype } = provider.OIDCContext;
  prototype.urlFor = function (name, options) {
    const url = provider.urlFor(name, options);
    // The endpoint that is asked is held against `htu`; all others are published.
    return name === this.route ? url.replace(provider.issuer, originAsked(currentContext().req)) : url;
  };
  prototype.clientJwtAuthExpectedAudience = function () {
    const { issuer } = provider;
    return new Set(takesTokenEndpoint(this.client) ? [issuer, provider.urlFor("token")] : [issuer]);
  };
}

/** Compares secrets with what is kept of them; the library would keep the secrets themselves. */
export function compareSecretsBy(
  provider: Provider,
  isSecret: (verifier: string, secret: string) => boolean,
): void {
  provider.Client.prototype.compareClientSecret = function (secret) {
    return this.clientSecret !== undefined && isSecret(this.clientSecret, secret);
  };
}

/**
 * Replaces the library's replay memory, which looks first and writes then, so that concurrent reuse passes.
 *
 * @param unique resolves to true for the first call with this client and value only; `exp` is in epoch seconds
 */
export function replaceReplayDetection(
  provider: Provider,
  unique: (ctx: KoaContextWithOIDC, clientId: string, value: string, exp: number) => Promise<boolean>,
): void {
  provider.ReplayDetection.unique = (clientId, value, exp) => unique(currentContext(), clientId, value, exp);
}

/** The context of the request that this call is part of. */
export function currentContext(): KoaContextWithOIDC {
  const ctx = contexts.getStore();
  if (ctx === undefined) throw new Error("there is no request to oidc-provider here");
  return ctx;
}

/** The request that this call is part of; undefined where it is part of none. */
export function currentRequest(): IncomingMessage | undefined {
  return contexts.getStore()?.req;
}

/** An endpoint of ours that authenticates its clients exactly as the library's own endpoints do. */
export interface ClientEndpoint {
  readonly name: "introspection" | "revocation";
  readonly path: string;
  readonly parameters: readonly string[];
  /** Runs once the client is authenticated and no parameter is repeated. Its errors go to the library's handler. */
  readonly answer: (ctx: KoaContextWithOIDC) => Promise<void>;
}

/** Takes POST requests to the endpoint's path out of the library's hands; all others pass on. */
export function clientEndpoint(provider: Provider, endpoint: ClientEndpoint): Middleware {
  const steps: readonly Middleware[] = [
    errorHandler(`${endpoint.name}.error`),
    noCache,
    urlencoded,
    (ctx, next) => assembleParams(new Set([...endpoint.parameters, ...getClientAuthParams(ctx)]), ctx, next),
    ...clientAuthentication,
    (ctx, next) => rejectDuplicates({}, ctx, next),
    (ctx) => endpoint.answer(ctx),
  ];
  const stepFrom =
    (ctx: KoaContextWithOIDC, place: number): (() => Promise<void>) =>
    async () =>
      steps[place]?.(ctx, stepFrom(ctx, place + 1));
  return async (ctx, next) => {
    if (ctx.method !== "POST" || ctx.path !== endpoint.path) return next();
    ctx._matchedRouteName = endpoint.name;
    Object.defineProperty(ctx, "oidc", { value: new provider.OIDCContext(ctx) });
    return contexts.run(ctx, stepFrom(ctx, 0));
  };
}

/**
 * Hands the library a body that was already read and checked. The library's reader asks a request for exactly these
 * two members; a body left on `req.body` instead is accepted too, but announced as a mistake on the console.
 */
export function presentBody(req: IncomingMessage, body: Buffer): void {
  // It reads as much as the headers say, and refuses a body of another length than it was sent with.
  if (req.headers["content-length"] !== undefined) req.headers["content-length"] = String(body.length);
  Object.defineProperties(req, {
    readable: { value: true },
    iterator: { value: () => [body].values() },
  });
}
