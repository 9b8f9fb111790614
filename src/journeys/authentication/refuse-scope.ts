import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { DomainError } from "../../domain/domain-error.ts";
import { type RecordDeps, type RequestContext, refuse, trailOf } from "../record/record.ts";

export interface RefuseScopeRequest {
  /** Authenticated. */
  readonly caller: Principal;
  /** What it called: method and route template. */
  readonly endpoint: string;
  /** For the caller: which scopes would do. */
  readonly publicDetail: string;
  readonly context: RequestContext;
}

/**
 * Records in the caller's log that its access token lacks the scope for what it called, and gives the error to answer.
 *
 * @throws DomainError `ledger_unavailable`
 */
export function refuseScope(
  deps: Pick<RecordDeps, "recordRefusal">,
  { caller, endpoint, publicDetail, context }: RefuseScopeRequest,
): Promise<DomainError> {
  const trail = { ...trailOf(caller, context), action: endpoint };
  return refuse(deps, "request.refused", trail, endpoint, {
    code: "insufficient_scope",
    publicDetail,
    reason: publicDetail,
  });
}
