import { type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import {
  type AccessTokenClaims,
  accessTokenClaimsSchema,
  type Confirmation,
} from "../contract/access-token.ts";
import { type ActorChain, actorChainOf } from "../model/actor-chain.ts";
import { sameAudience } from "../model/audience.ts";
import { parseScope, type Scope } from "../model/scope.ts";
import { VerificationError, verificationErrorOf } from "./verification-error.ts";

export interface AccessTokenDeps {
  /** The issuer's public keys, by `kid`; see issuerKeys in client/issuer-keys. */
  readonly keys: JWTVerifyGetKey;
  /** Milliseconds since the epoch. */
  now(): number;
  /** What these keys have verified before; absent: each token is verified each time. */
  readonly verified?: VerifiedTokens;
}

export interface AccessTokenExpectation {
  readonly issuer: string;
  /**
   * The verifier's own audience; an origin may be written with or without its trailing slash. Who leaves it out gets
   * tokens for whichever audience, and must look at `claims.aud` before it honours one.
   */
  readonly audience?: string;
  /** How far the clocks may be apart; 5 unless told. */
  readonly leewaySeconds?: number;
}

export interface VerifiedAccessToken {
  readonly claims: AccessTokenClaims;
  readonly scope: Scope;
  /** Who acts for `claims.sub`, the presenter first; empty when nothing was delegated. */
  readonly chain: ActorChain;
  /** Absent on a bearer token. */
  readonly confirmation?: Confirmation;
}

/** What one set of keys has verified before. Says nothing of expiry, audience or revocation: those are asked each time. */
export interface VerifiedTokens {
  /** What the token was verified to say, or what `verify` finds now; what it throws passes, and is not kept. */
  read(token: string, verify: () => Promise<VerifiedAccessToken>): Promise<VerifiedAccessToken>;
  /** To be called when the keys change: what a withdrawn one had signed is then no longer known. */
  forget(): void;
}

const tokenCharsMax = 16_384;
const leewaySecondsDefault = 5;

/**
 * Verifies an access token of one issuer for one audience, or for any where none is expected: type, algorithm,
 * signature, issuer, audience and time before any other claim is read, then the claims' shape and the actor chain. It
 * does not ask who presents the token: see authenticateRequest for that.
 *
 * @throws VerificationError with the first check that failed; what `deps.keys` throws when it can't fetch keys passes.
 * @see RFC 9068, section 4; RFC 8725, sections 3.1 and 3.11
 */
export async function verifyAccessToken(
  deps: AccessTokenDeps,
  token: string,
  expected: AccessTokenExpectation,
): Promise<VerifiedAccessToken> {
  if (token.length > tokenCharsMax) throw new VerificationError("malformed", "the token is too long");
  const verify = () => verifyUnknown(deps, token, expected);
  const verified = deps.verified === undefined ? await verify() : await deps.verified.read(token, verify);
  // What is known was verified for another request, which may have expected something else, and earlier.
  demandExpected(verified.claims, expected, deps.now());
  return verified;
}

async function verifyUnknown(
  deps: AccessTokenDeps,
  token: string,
  expected: AccessTokenExpectation,
): Promise<VerifiedAccessToken> {
  const payload = await verifiedPayload(deps, token, expected);
  if (!isMeant(payload.aud, expected)) throw notMeant();
  const parsed = accessTokenClaimsSchema.safeParse(payload);
  if (!parsed.success) {
    throw new VerificationError(
      "claims_invalid",
      "the token's claims are not those of an access token",
      parsed.error,
    );
  }
  const claims = parsed.data;
  const scope = parseScope(claims.scope ?? "");
  if (scope === undefined) throw new VerificationError("claims_invalid", "the token's scope is malformed");
  const confirmation = confirmationOf(claims);
  return { claims, scope, chain: chainOf(claims), ...(confirmation && { confirmation }) };
}

function demandExpected(claims: AccessTokenClaims, expected: AccessTokenExpectation, nowMs: number): void {
  const nowSeconds = Math.floor(nowMs / 1000);
  const leewaySeconds = expected.leewaySeconds ?? leewaySecondsDefault;
  if (claims.iss !== expected.issuer) {
    throw new VerificationError("issuer_unknown", "another made the token");
  }
  if (claims.exp <= nowSeconds - leewaySeconds)
    throw new VerificationError("expired", "the token has expired");
  if (!isMeant(claims.aud, expected)) throw notMeant();
}

function notMeant(): VerificationError {
  return new VerificationError("audience_mismatch", "the token is meant for another audience");
}

function isMeant(aud: unknown, expected: AccessTokenExpectation): boolean {
  if (typeof aud !== "string") return false;
  // A setting that somebody forgot to make is there, and undefined: it must not let every audience in.
  return !("audience" in expected) || sameAudience(aud, expected.audience ?? "");
}

async function verifiedPayload(
  deps: AccessTokenDeps,
  token: string,
  expected: AccessTokenExpectation,
): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, deps.keys, {
      typ: "at+jwt",
      algorithms: ["ES256"],
      issuer: expected.issuer,
      clockTolerance: expected.leewaySeconds ?? leewaySecondsDefault,
      currentDate: new Date(deps.now()),
      // An `iat` that lies ahead is refused only when an age is asked for; no issuer signs for longer than a day.
      maxTokenAge: "1 day",
      requiredClaims: ["iss", "sub", "aud", "exp", "iat", "jti", "client_id"],
    });
    return payload;
  } catch (error) {
    throw verificationErrorOf(error, "token");
  }
}

/**
 * The chain of a token whose parts agree: a delegated token has its delegation, the root and at least one actor, the
 * outermost of which is the client; a token without a delegation has none of these.
 */
function chainOf(claims: AccessTokenClaims): ActorChain {
  const chain = actorChainOf(claims.act);
  if (chain === undefined)
    throw new VerificationError("chain_invalid", "the actor chain is malformed or too long");
  const delegated = claims.delegation !== undefined;
  if (delegated !== (claims.delegation_root !== undefined) || delegated !== chain.length > 0) {
    throw new VerificationError("chain_invalid", "the actor chain and the delegation do not belong together");
  }
  if (delegated && chain[0]?.sub !== claims.client_id) {
    throw new VerificationError("chain_invalid", "the presenter is not the outermost actor");
  }
  return chain;
}

function confirmationOf({ cnf }: AccessTokenClaims): Confirmation | undefined {
  if (cnf === undefined) return undefined;
  const { jkt, "x5t#S256": certificate } = cnf;
  if (jkt !== undefined && certificate === undefined) return { jkt };
  if (certificate !== undefined && jkt === undefined) return { "x5t#S256": certificate };
  // A confirmation that is not understood must not turn the token into a bearer token.
  throw new VerificationError("confirmation_mismatch", "the token's confirmation is not one to check");
}
