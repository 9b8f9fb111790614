import type { VerificationCode } from "@countersign/sdk/verify/verification-error";

/** Why the assertion of a trusted issuer, or of nobody that is trusted, was not accepted: one of a fixed set of words. */
export class AssertionFailure extends Error {
  override readonly name = "AssertionFailure";
  readonly reason: `assertion_${VerificationCode | "replayed"}`;

  constructor(code: VerificationCode | "replayed", cause?: unknown) {
    super(`the assertion is not accepted: ${code}`, { cause });
    this.reason = `assertion_${code}`;
  }
}
