import type { ErrorCode } from "@countersign/sdk/model/error-codes";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { DomainError } from "../../domain/domain-error.ts";
import { type RecordDeps, type RequestContext, refuse, trailOf } from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";

export interface RefuseRequestRequest {
  /** Authenticated. */
  readonly caller: Principal;
  /** What it called: method and route template. */
  readonly endpoint: string;
  readonly code: ErrorCode;
  /** For the caller: which scopes would do, for one. */
  readonly publicDetail: string;
  readonly context: RequestContext;
}

/**
 * Records in the caller's log that its request was refused before any journey began, and gives the error to answer.
 *
 * @throws DomainError `ledger_unavailable`
 */
export function refuseRequest(
  deps: Pick<RecordDeps, "recordRefusal">,
  { caller, endpoint, code, publicDetail, context }: RefuseRequestRequest,
): Promise<DomainError> {
  const trail = { ...trailOf(caller, context), action: endpoint };
  return refuse(deps, "request.refused", trail, endpoint, plainRefusal(code, publicDetail));
}
