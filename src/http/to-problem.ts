import type { Problem } from "@countersign/sdk/contract/problem";
import type { ErrorCode } from "@countersign/sdk/model/error-codes";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { DomainError } from "../domain/domain-error.ts";
import { errorTable } from "../domain/error-table.ts";

/** An error as an HTTP caller sees it. */
export interface ProblemAnswer {
  readonly body: Problem;
  readonly headers: Readonly<Record<string, string>>;
}

export interface ProblemDeps {
  /** Base of the pages that explain each code. */
  readonly issuer: string;
  /** Whether an error means that the database does not answer. */
  isOutage(error: unknown): boolean;
}

const retryAfterSeconds = 2;

/**
 * Renders any error as RFC 9457 problem details. What is not meant for callers becomes `internal`, and says nothing of
 * itself; an outage is a 503 with Retry-After.
 */
export function toProblem(deps: ProblemDeps, error: unknown, requestId: string): ProblemAnswer {
  const { code, publicDetail } = domainErrorOf(deps, error);
  const { status, title } = errorTable[code];
  const body: Problem = {
    type: `${deps.issuer}/docs/errors/${code}`,
    title,
    status,
    code,
    detail: publicDetail,
    request_id: requestId,
  };
  return { body, headers: headersOf(status, code) };
}

/** The DomainError that says to callers what this error means. */
export function domainErrorOf(deps: Pick<ProblemDeps, "isOutage">, error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  if (error instanceof VerificationError) return fromVerification(error);
  if (deps.isOutage(error))
    return new DomainError("ledger_unavailable", "the database does not answer", error);
  const status = bodyErrorStatus(error);
  if (status === 413) return new DomainError("payload_too_large", tooLarge(error), error);
  if (status !== undefined)
    return new DomainError("invalid_request", "the request can't be read as JSON", error);
  return new DomainError("internal", "it has been logged under this request id", error);
}

const verificationCodes: Readonly<Partial<Record<VerificationError["code"], ErrorCode>>> = {
  proof_missing: "unauthenticated",
  proof_nonce_expected: "use_dpop_nonce",
};

function fromVerification(error: VerificationError): DomainError {
  return new DomainError(verificationCodes[error.code] ?? "invalid_token", error.message, error);
}

/** The status that Express's body parser or router gave an error of the caller's making. */
function bodyErrorStatus(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("status" in error) || typeof error.status !== "number") return undefined;
  return error.status >= 400 && error.status < 500 ? error.status : undefined;
}

/** Bodies have bounds of their own; the parser tells the one that was met. */
function tooLarge(error: unknown): string {
  if (!(error instanceof Error) || !("limit" in error) || typeof error.limit !== "number")
    return "the body is too large";
  return `the body is larger than ${error.limit / 1024} KiB`;
}

function headersOf(status: number, code: string): Record<string, string> {
  if (status === 503 || status === 429) return { "retry-after": String(retryAfterSeconds) };
  if (code === "idempotency_key_in_use") return { "retry-after": "1" };
  if (code === "unauthenticated") return { "www-authenticate": 'DPoP algs="ES256"' };
  if (code === "invalid_token" || code === "insufficient_scope" || code === "use_dpop_nonce") {
    return { "www-authenticate": `DPoP error="${code}", algs="ES256"` };
  }
  return {};
}
