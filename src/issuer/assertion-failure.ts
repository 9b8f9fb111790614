import type { VerificationCode } from "@countersign/sdk/verify/verification-error";
import { UnrecordedSvid } from "../journeys/token/proven.ts";

/** Why the assertion of a trusted issuer, or of nobody that is trusted, was not accepted: one of a fixed set of words. */
export class AssertionFailure extends Error {
  override readonly name = "AssertionFailure";
  readonly reason: `assertion_${VerificationCode | "replayed"}`;

  constructor(code: VerificationCode | "replayed", cause?: unknown) {
    super(`the assertion is not accepted: ${code}`, { cause });
    this.reason = `assertion_${code}`;
  }
}

/** What is counted and logged of why somebody is not authenticated, where `error` alone does not say it. */
export function failureReasonOf(cause: unknown): AssertionFailure["reason"] | "svid_unrecorded" | undefined {
  if (cause instanceof AssertionFailure) return cause.reason;
  return cause instanceof UnrecordedSvid ? "svid_unrecorded" : undefined;
}
