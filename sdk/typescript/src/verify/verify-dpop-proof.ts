import { sha256 } from "@noble/hashes/sha2.js";
import { base64url, calculateJwkThumbprint, EmbeddedJWK, errors, jwtVerify } from "jose";
import { z } from "zod";
import type { ProofReplayStore } from "./proof-replay.ts";
import { VerificationError } from "./verification-error.ts";

/** The nonces that a server hands out, so that a proof can't have been made long before it is sent. */
export interface ProofNonces {
  /** Whether this server handed the nonce out, a short while ago. */
  accepts(nonce: string): boolean;
}

export interface DpopProofDeps {
  readonly replays: ProofReplayStore;
  /** Absent: this server hands out none, and none in a proof is looked at. */
  readonly nonces?: ProofNonces;
  /** Milliseconds since the epoch. */
  now(): number;
}

/** The request that a proof must have been made for. */
export interface ProvenRequest {
  readonly proof: string;
  readonly method: string;
  /** As the client wrote it; query and fragment are left out of the comparison. */
  readonly url: string;
  readonly accessToken: string;
  /** The thumbprint that the access token is bound to: `cnf.jkt`. */
  readonly jkt: string;
  /** Whether a proof without a nonce is refused. */
  readonly nonceRequired?: boolean;
}

const proofCharsMax = 4096;
const proofAgeSecondsMax = 60;
const leewaySeconds = 5;

const proofClaimsSchema = z.looseObject({
  jti: z.string().min(1).max(256),
  htm: z.string().max(32),
  htu: z.string().max(4096),
  iat: z.number(),
  ath: z.string().max(64),
  nonce: z.string().min(1).max(256).optional(),
});

/**
 * Verifies that a DPoP proof was made for this request, this access token and this moment, by the key that the token
 * is bound to, and was not used before.
 *
 * @throws VerificationError with a `proof_…` code or `confirmation_mismatch`; `proof_nonce_expected` is to be answered with
 *   a nonce and `use_dpop_nonce`
 * @see RFC 9449, sections 4.3 and 9
 */
export async function verifyDpopProof(deps: DpopProofDeps, request: ProvenRequest): Promise<void> {
  const { claims, jkt } = await parseProof(deps, request.proof);
  if (jkt !== request.jkt) {
    throw new VerificationError(
      "confirmation_mismatch",
      "the proof was made with another key than the token's",
    );
  }
  if (claims.htm !== request.method) throw new VerificationError("proof_mismatch", "htm is another method");
  if (!samePlace(claims.htu, request.url))
    throw new VerificationError("proof_mismatch", "htu is another URL");
  const ath = base64url.encode(sha256(new TextEncoder().encode(request.accessToken)));
  if (claims.ath !== ath) throw new VerificationError("proof_mismatch", "ath is another access token's");
  assertNonce(deps, request, claims.nonce);

  const fresh = await deps.replays.consume(
    `${jkt}.${claims.jti}`,
    (claims.iat + proofAgeSecondsMax + leewaySeconds) * 1000,
  );
  if (!fresh) throw new VerificationError("proof_replayed", "the proof was used before");
}

function assertNonce({ nonces }: DpopProofDeps, { nonceRequired }: ProvenRequest, nonce?: string): void {
  const isGood = nonce === undefined ? nonceRequired !== true : nonces === undefined || nonces.accepts(nonce);
  if (!isGood) throw new VerificationError("proof_nonce_expected", "the proof lacks a nonce of this moment");
}

async function parseProof(deps: DpopProofDeps, proof: string) {
  if (proof.length > proofCharsMax) throw new VerificationError("proof_malformed", "the proof is too long");
  try {
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, {
      typ: "dpop+jwt",
      algorithms: ["ES256"],
      maxTokenAge: proofAgeSecondsMax,
      clockTolerance: leewaySeconds,
      currentDate: new Date(deps.now()),
    });
    const claims = proofClaimsSchema.parse(payload);
    return { claims, jkt: await calculateJwkThumbprint(protectedHeader.jwk ?? {}) };
  } catch (error) {
    if (isTimeError(error))
      throw new VerificationError("proof_stale", "the proof is not of this moment", error);
    throw new VerificationError("proof_malformed", "the proof is not a DPoP proof signed with ES256", error);
  }
}

function isTimeError(error: unknown): boolean {
  if (error instanceof errors.JWTExpired) return true;
  return (
    error instanceof errors.JWTClaimValidationFailed &&
    error.claim === "iat" &&
    error.reason === "check_failed"
  );
}

/** Whether two URLs are equal after normalisation, without query and fragment. */
function samePlace(one: string, other: string): boolean {
  return placeOf(one) !== undefined && placeOf(one) === placeOf(other);
}

function placeOf(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { origin, pathname } = new URL(text);
  return `${origin}${pathname}`;
}
