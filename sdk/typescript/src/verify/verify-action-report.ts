import { type JWTPayload, type JWTVerifyGetKey, jwtVerify, type ProtectedHeaderParameters } from "jose";
import { z } from "zod";
import {
  type ActionReportClaims,
  actionReportClaimsSchema,
  actionReportType,
} from "../contract/action-report.ts";
import { claimsHash } from "../contract/claims-hash.ts";
import type { Sha256 } from "../tlog/rfc6962.ts";
import { VerificationError, verificationErrorOf } from "./verification-error.ts";

export interface ActionReportDeps {
  /** The registered keys of whoever is said to have signed it, each by its thumbprint as `kid`. */
  readonly keys: JWTVerifyGetKey;
  /** Milliseconds since the epoch. */
  now(): number;
  readonly sha256?: Sha256;
}

export interface ActionReportExpectation {
  /** The issuer that it was made for. */
  readonly issuer: string;
  /** The client id of whoever must have signed it. */
  readonly reporter: string;
}

export interface VerifiedActionReport {
  readonly claims: ActionReportClaims;
  /** What the entry of the report holds: SHA-256 of the canonical claims, base64url. */
  readonly claimsHash: string;
  /** Names the key that signed it. */
  readonly kid: string;
}

const charsMax = 8192;
const leewaySeconds = 5;
const headerSchema = z.strictObject({
  alg: z.literal("ES256"),
  typ: z.literal(actionReportType),
  kid: z.string().max(128),
});

/**
 * Verifies what an agent or a Resource signed of an action: type, algorithm, signature, signer and audience before any
 * other claim is read. Whether it is true, or the action was granted, is another question.
 *
 * @throws VerificationError with the first check that failed; what `deps.keys` throws when it can't fetch keys passes.
 * @see RFC 8725, sections 3.1, 3.8, 3.9 and 3.11
 */
export async function verifyActionReport(
  deps: ActionReportDeps,
  report: string,
  expected: ActionReportExpectation,
): Promise<VerifiedActionReport> {
  if (report.length > charsMax) throw new VerificationError("malformed", "the report is too long");
  const { payload, protectedHeader } = await verified(deps, report, expected);
  const header = headerSchema.safeParse(protectedHeader);
  // A member of the header that nobody checks is a place to put what is not meant to be kept.
  if (!header.success) {
    throw new VerificationError("malformed", "the report's header has alg, typ and kid, and nothing else");
  }
  const parsed = actionReportClaimsSchema.safeParse(payload);
  if (!parsed.success) {
    throw new VerificationError(
      "claims_invalid",
      "the report's claims are not those of an action",
      parsed.error,
    );
  }
  return { claims: parsed.data, claimsHash: claimsHash(payload, deps.sha256), kid: header.data.kid };
}

async function verified(
  deps: ActionReportDeps,
  report: string,
  { issuer, reporter }: ActionReportExpectation,
): Promise<{ payload: JWTPayload; protectedHeader: ProtectedHeaderParameters }> {
  try {
    return await jwtVerify(report, deps.keys, {
      typ: actionReportType,
      algorithms: ["ES256"],
      issuer: reporter,
      subject: reporter,
      audience: issuer,
      clockTolerance: leewaySeconds,
      currentDate: new Date(deps.now()),
      // An `iat` that lies ahead is refused only when an age is asked for.
      maxTokenAge: "30 days",
      requiredClaims: ["iat", "jti"],
    });
  } catch (error) {
    throw verificationErrorOf(error, "report");
  }
}
