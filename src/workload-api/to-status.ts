import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { type StatusObject, status } from "@grpc/grpc-js";
import { DomainError } from "../domain/domain-error.ts";
import { errorTable } from "../domain/error-table.ts";

/**
 * HTTP status → gRPC code. Clients stop at INVALID_ARGUMENT and try again after the others; what is not here is nobody's
 * but ours.
 *
 * @see SPIFFE Workload Endpoint, section 6
 */
const codes: ReadonlyMap<number, status> = new Map([
  [400, status.INVALID_ARGUMENT],
  [401, status.PERMISSION_DENIED],
  [403, status.PERMISSION_DENIED],
  [404, status.PERMISSION_DENIED],
  [413, status.INVALID_ARGUMENT],
  [429, status.RESOURCE_EXHAUSTED],
  [503, status.UNAVAILABLE],
]);

/**
 * The error as a workload is told it. What is not meant for callers becomes INTERNAL, and says nothing of itself.
 *
 * @param isOutage whether an error means that the database does not answer
 */
export function toStatus(
  isOutage: (error: unknown) => boolean,
  error: unknown,
): Pick<StatusObject, "code" | "details"> {
  if (error instanceof VerificationError) return { code: status.INVALID_ARGUMENT, details: error.message };
  const code = error instanceof DomainError ? codes.get(errorTable[error.code].status) : undefined;
  if (error instanceof DomainError && code !== undefined) {
    return { code, details: error.publicDetail.toWellFormed() };
  }
  if (isOutage(error)) return { code: status.UNAVAILABLE, details: "not available now, try again" };
  return { code: status.INTERNAL, details: "something failed inside" };
}
