import { base64url } from "jose";
import { z } from "zod";
import { delegationTokenType } from "../contract/access-token.ts";
import { ourWords } from "../contract/faults.ts";
import {
  type ApiScope,
  isMutation,
  type Operation,
  type ParamsSchema,
  pathOf,
  type QuerySchema,
} from "../contract/operation.ts";
import type { AuthorizationDetails } from "../model/authorization-details.ts";
import { UnreachableError } from "./client-error.ts";
import type { PrivateJwk } from "./key-pair.ts";
import { type ProvenDeps, rememberNonces, sendProven } from "./send.ts";
import { type SignDeps, signClientAssertion, signDpopProof } from "./sign.ts";

export interface ClientDeps extends SignDeps {
  readonly fetch: typeof globalThis.fetch;
}

/** Who calls, and which issuer it trusts. */
export interface ClientIdentity {
  /** Without a trailing slash. */
  readonly issuer: string;
  readonly clientId: string;
  readonly key: PrivateJwk;
  /** A JWT-SVID for the issuer, which authenticates in place of the key: that one need be known to nobody then. */
  readonly svid?: string;
}

/** What RFC 6749 section 5.1 and RFC 9396 section 7 answer, and where the issuance is recorded. */
export const tokenResponseSchema = z.looseObject({
  access_token: z.string(),
  token_type: z.string(),
  expires_in: z.number(),
  scope: z.string().optional(),
  issued_token_type: z.string().optional(),
  authorization_details: z.array(z.unknown()).max(64).optional(),
  ledger: z.looseObject({ log: z.string(), index: z.number() }).optional(),
});
export type TokenResponse = z.infer<typeof tokenResponseSchema>;

const methods = { get: "GET", post: "POST", put: "PUT", patch: "PATCH", delete: "DELETE" } as const;

/** An authenticated client of one issuer: it gets DPoP-bound tokens and calls `/v1` with them. */
export interface Client {
  /** A token for `resource` in this client's own right. @throws RefusedError, UnreachableError */
  requestToken(target: { resource: string; scope: string }): Promise<TokenResponse>;
  /**
   * A token by a delegation made to this client; for all that the delegation has, unless told.
   *
   * @throws RefusedError, UnreachableError
   */
  redeemDelegation(target: {
    delegation: string;
    resource?: string;
    scope?: string;
    authorizationDetails?: AuthorizationDetails;
  }): Promise<TokenResponse>;
  /**
   * Performs an operation of the issuer's API. A mutation bears a key of its own, so that it is done once: if no answer
   * comes it is sent once more, and gets the answer to what was done the first time.
   *
   * @throws RefusedError, UnreachableError; ZodError for a foreign answer
   */
  perform<
    Params extends ParamsSchema | undefined,
    Query extends QuerySchema | undefined,
    Body extends z.ZodType | undefined,
    Answer extends z.ZodType,
  >(
    operation: Operation<Params, Query, Body, Answer>,
    given: Given<Params, Query, Body>,
  ): Promise<z.output<Answer>>;
  /** Sends one request under a token of the named scope; for answers that are no JSON. @throws RefusedError, UnreachableError */
  fetchRaw(request: ApiRequest): Promise<Response>;
}

/** What an operation is given: what it takes and nothing else; a query may be left out. */
export type Given<Params, Query, Body> = (Params extends z.ZodType
  ? { readonly params: z.input<Params> }
  : unknown) &
  (Query extends z.ZodType ? { readonly query?: z.input<Query> } : unknown) &
  (Body extends z.ZodType ? { readonly body: z.input<Body> } : unknown) & {
    /** Of the token it is performed under; the operation's first unless told. */
    readonly scope?: ApiScope;
  };

/** What any operation may be given. */
interface AnyGiven {
  readonly params?: z.input<ParamsSchema>;
  readonly query?: z.input<QuerySchema>;
  readonly body?: unknown;
  readonly scope?: ApiScope;
}

export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Begins with a slash; appended to the issuer. */
  readonly path: string;
  readonly body?: unknown;
  readonly scope: string;
  /** The same for each try of one request. */
  readonly idempotencyKey?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Ends the request; without one, it has to be answered within 30 s. */
  readonly signal?: AbortSignal;
}

/**
 * Makes a client. Its tokens are kept until 10 s before they expire, one for each scope; and so is the last nonce of the
 * issuer, whose wish for a newer one is granted once a request.
 *
 * @see RFC 9449, sections 8 and 9
 */
export function createClient(given: ClientDeps, identity: ClientIdentity): Client {
  const deps = { ...given, ...rememberNonces(given) };
  const tokens = new Map<string, { accessToken: string; usableUntilMs: number }>();
  const { issuer, key } = identity;

  const requestToken: Client["requestToken"] = ({ resource, scope }) =>
    postToken(deps, identity, { grant_type: "client_credentials", resource, scope });

  const redeemDelegation: Client["redeemDelegation"] = ({
    delegation,
    resource,
    scope,
    authorizationDetails,
  }) =>
    postToken(deps, identity, {
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      subject_token: delegation,
      subject_token_type: delegationTokenType,
      ...(resource && { resource }),
      ...(scope && { scope }),
      ...(authorizationDetails && { authorization_details: JSON.stringify(authorizationDetails) }),
    });

  async function apiToken(scope: string): Promise<string> {
    const held = tokens.get(scope);
    if (held && held.usableUntilMs > deps.now()) return held.accessToken;
    const issued = await requestToken({ resource: `${issuer}/v1`, scope });
    const usableUntilMs = deps.now() + (issued.expires_in - 10) * 1000;
    tokens.set(scope, { accessToken: issued.access_token, usableUntilMs });
    return issued.access_token;
  }

  async function fetchRaw({
    method,
    path,
    body,
    scope,
    idempotencyKey,
    headers: more,
    signal,
  }: ApiRequest): Promise<Response> {
    const url = `${issuer}${path}`;
    const accessToken = await apiToken(scope);
    return sendProven(deps, issuer, url, async (nonce) => ({
      method,
      headers: {
        ...more,
        authorization: `DPoP ${accessToken}`,
        dpop: await signDpopProof(deps, { key, method, url, accessToken, nonce }),
        ...(idempotencyKey !== undefined && { "idempotency-key": idempotencyKey }),
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    }));
  }

  async function fetchJson(request: ApiRequest): Promise<unknown> {
    const text = await (await fetchRaw(request)).text().catch((error: unknown) => {
      throw new UnreachableError(issuer, error);
    });
    return JSON.parse(text);
  }

  async function answerTo(operation: Operation, request: ApiRequest): Promise<unknown> {
    if (!isMutation(operation)) return fetchJson(request);
    const once = { ...request, idempotencyKey: newKey(deps) };
    return fetchJson(once).catch((error: unknown) => {
      if (!(error instanceof UnreachableError)) throw error;
      return fetchJson(once);
    });
  }

  return {
    requestToken,
    redeemDelegation,
    fetchRaw,
    perform: async (operation, given) =>
      operation.answer.parse(await answerTo(operation, requestOf(operation, given)), { error: ourWords }),
  };
}

function newKey({ randomBytes }: ClientDeps): string {
  return base64url.encode(randomBytes(16));
}

/** The request that performs an operation. */
function requestOf(operation: Operation, given: AnyGiven): ApiRequest {
  const { params = {}, query = {}, body, scope = operation.anyOf[0] } = given;
  if (scope === undefined) throw new TypeError(`${operation.name} is called under a token of its own`);
  const path = pathOf(operation, (name) => encodeURIComponent(params[name] ?? ""));
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) search.set(name, String(value));
  }
  return {
    method: methods[operation.method],
    path: search.size === 0 ? path : `${path}?${search}`,
    body,
    scope,
  };
}

/** Asks the token endpoint for a token that is bound to the client's key. */
async function postToken(
  deps: ClientDeps & ProvenDeps,
  identity: ClientIdentity,
  parameters: Record<string, string>,
): Promise<TokenResponse> {
  const { issuer, key } = identity;
  const url = `${issuer}/token`;
  const response = await sendProven(deps, issuer, url, async (nonce) => ({
    method: "POST",
    headers: { dpop: await signDpopProof(deps, { key, method: "POST", url, nonce }) },
    body: new URLSearchParams({
      ...parameters,
      ...(await authenticationOf(deps, identity)),
    }),
  }));
  return tokenResponseSchema.parse(await response.json());
}

/**
 * private_key_jwt, or the JWT-SVID of a workload that has one.
 *
 * @see RFC 7523, section 2.2; draft-ietf-oauth-spiffe-client-auth, section 4.1
 */
async function authenticationOf(deps: SignDeps, identity: ClientIdentity): Promise<Record<string, string>> {
  const { clientId, svid } = identity;
  const kind = svid === undefined ? "jwt-bearer" : "jwt-spiffe";
  return {
    client_id: clientId,
    client_assertion_type: `urn:ietf:params:oauth:client-assertion-type:${kind}`,
    client_assertion: svid ?? (await signClientAssertion(deps, identity)),
  };
}
