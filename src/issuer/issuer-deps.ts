import type { JsonWebKey, X509Certificate } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import type { OrganizationId } from "@countersign/sdk/model/ids";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import type { ClientProfile } from "../domain/client.ts";
import type { Demands } from "../journeys/record/append-demanded.ts";
import type { ExchangeRequest } from "../journeys/token/exchange.ts";
import type { IntrospectRequest } from "../journeys/token/introspect.ts";
import type { IssueRequest } from "../journeys/token/issue.ts";
import type { PreparedToken } from "../journeys/token/prepared-token.ts";
import type { ProvenClient } from "../journeys/token/proven.ts";
import type { RevokeTokenRequest } from "../journeys/token/revoke.ts";
import type { AssertedIdentity, AssertIdentityRequest } from "../journeys/trust/assert-identity.ts";
import type { AssertedPerson, AssertPersonRequest } from "../journeys/trust/assert-person.ts";
import type { AssertionFailure } from "./assertion-failure.ts";

/** A public key as RFC 7517 writes it. */
export type PublicJwk = JsonWebKey & { readonly kid?: string };

/** A client of the issuer with the keys it may authenticate with, public halves only: none where attestation is its proof. */
export interface RegisteredClient {
  /** Its SPIFFE ID. */
  readonly clientId: string;
  readonly jwks: { readonly keys: readonly PublicJwk[] };
  readonly profile: ClientProfile;
}

/** An authorization request that an authenticated client pushed. @see RFC 9126 */
export interface PushedRequest {
  /** The unguessable part of its `request_uri`. */
  readonly id: string;
  /** Of its client. */
  readonly organization: OrganizationId;
  readonly clientId: string;
  /** JSON of the library's. */
  readonly payload: string;
  readonly expiresAt: Date;
}

/** How clients reach the server with a certificate. */
export interface MutualTls {
  /** The origin of the port that asks for certificates; undefined where a proxy does, at the issuer's own. */
  readonly origin: string | undefined;
}

/** The ES256 keys of access tokens: the one that signs, and all that verifiers shall know (itself, next, retired). */
export interface TokenKeys {
  readonly active: {
    readonly kid: string;
    /** r and s, 32 octets each: RFC 7518, section 3.4. */
    readonly sign: (message: Uint8Array) => Uint8Array;
  };
  readonly published: readonly (PublicJwk & { readonly kid: string })[];
}

/** What a client may use once only. */
export interface OneTimeValue {
  /** The client's id; of a trusted issuer's assertion, and of the proofs that come with one, that of the trust. */
  readonly client: string;
  readonly kind: "client_assertion" | "dpop_proof" | "trusted_assertion";
  /** Its `jti`, or what the library makes of it: chosen by the client. */
  readonly value: string;
}

/** An assertion that may be presented again, by the holder of one key. */
export interface AssertionPin {
  /** SHA-256 of what was signed, base64url. */
  readonly hash: string;
  /** RFC 7638 thumbprint of the key. */
  readonly jkt: string;
  /** When the assertion is no longer accepted. */
  readonly expiresAt: Date;
}

/** Which request it was, as far as it is known. Nothing in it is what a caller may have put in the wrong place. */
export interface RequestPlace {
  readonly requestId?: string | undefined;
  /** The endpoint's path. */
  readonly endpoint: string;
  /** The client that was claimed, when there is such a client. */
  readonly clientId?: string;
}

/** A request that was answered with an OAuth error. */
export interface RefusedRequest extends RequestPlace {
  readonly status: number;
  readonly error: string;
  /** What exactly was wrong, for the log; free text of the library or of ours, never of the caller. */
  readonly detail?: string;
  readonly cause?: unknown;
}

/** A caller that could not prove who it is. */
export interface AuthenticationFailure extends RefusedRequest {
  readonly reason:
    | "invalid_client"
    | "client_assertion_replayed"
    | "invalid_dpop_proof"
    | "dpop_proof_replayed"
    | "svid_unrecorded"
    | AssertionFailure["reason"];
}

/** A token that was handed out. */
export interface IssuedToken extends RequestPlace {
  readonly txn: string;
  readonly jti: string;
}

/** All that the issuer needs of the rest of the house. The journeys throw DomainError for what they refuse. */
export interface IssuerDeps {
  /** The issuer identifier: an origin, without a path. */
  readonly issuer: string;
  readonly trustDomain: TrustDomain;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly tokenKeys: () => TokenKeys;
  /** 32 bytes, the same in all processes: what the nonces of DPoP proofs follow from. */
  readonly dpopNonceSecret: Uint8Array;
  /** Undefined: nobody can present a certificate here. */
  readonly mutualTls: MutualTls | undefined;
  /** The certificate whose key the client proved to hold, in its handshake with us or with a trusted proxy. */
  readonly certificateOf: (request: IncomingMessage) => X509Certificate | undefined;
  /** The origin under which the client sent this request: that of the issuer, or of the port that asks for certificates. */
  readonly originAsked: (request: IncomingMessage) => string;
  /** What verifies the SVIDs of our own trust domain. */
  readonly svidBundle: () => TrustBundle;
  /**
   * Binds an assertion to the first key that it was presented under, in all processes together.
   *
   * @returns whether it is bound to this key
   */
  readonly pinAssertion: (pin: AssertionPin) => Promise<boolean>;
  readonly keepPushedRequest: (request: PushedRequest) => Promise<void>;
  /** The payload, for one of all calls, and to the client that pushed it only. */
  readonly usePushedRequest: (
    used: Pick<PushedRequest, "id" | "organization" | "clientId">,
  ) => Promise<string | undefined>;
  /** Asked once a request; the caller keeps a cache. Undefined for who is unknown, whatever its status. */
  readonly findClient: (clientId: string) => Promise<RegisteredClient | undefined>;
  /** True for the first call with this value only, in all processes together; accepted until `expiresAt`. */
  readonly rememberOnce: (used: OneTimeValue, expiresAt: Date) => Promise<boolean>;
  /** What a commit uses it up by. Throws UsedBefore. */
  readonly useUp: (used: OneTimeValue, expiresAt: Date) => Promise<Demands>;
  /** Whose a trusted issuer's assertion is. Also throws VerificationError and KeysUnreachable. */
  readonly assertIdentity: (request: AssertIdentityRequest) => Promise<AssertedIdentity>;
  /** Whom a person's assertion is of, that was made for this client. Also throws VerificationError and KeysUnreachable. */
  readonly assertPerson: (request: AssertPersonRequest) => Promise<AssertedPerson>;
  /** Throws unless what a client proved itself by still stands: for what is answered from the present state. */
  readonly demandProven: (proven: ProvenClient) => Promise<void>;
  readonly issueToken: (request: IssueRequest) => Promise<PreparedToken>;
  readonly exchangeToken: (request: ExchangeRequest) => Promise<PreparedToken>;
  /** Undefined for a token that is not active, or not the caller's business. */
  readonly introspectToken: (request: IntrospectRequest) => Promise<AccessTokenClaims | undefined>;
  readonly revokeToken: (request: RevokeTokenRequest) => Promise<unknown>;
  /** Whether an error means that the database or the ledger is not there now: such a request is answered 503. */
  readonly isUnavailable: (error: unknown) => boolean;
  readonly onAuthenticationFailure: (failure: AuthenticationFailure) => void;
  /** Any other request that was refused. */
  readonly onRefused: (refused: RefusedRequest) => void;
  readonly onIssued: (issued: IssuedToken) => void;
  /** An error that the caller was told as `server_error`, nothing more. */
  readonly onUnexpectedError: (error: unknown, at: RequestPlace) => void;
}
