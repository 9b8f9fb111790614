import { newId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { Operator } from "../../domain/operator.ts";
import { credentialWrite } from "../public-key.ts";
import { readKey } from "../read-key.ts";
import { callerConditions } from "../record/conditions.ts";
import {
  type CreateDeps,
  demandOperator,
  type Recorded,
  type RequestContext,
  record,
  type Trail,
  trailOf,
} from "../record/record.ts";

export interface CreateOperatorRequest {
  /** An operator. */
  readonly caller: Principal;
  readonly name: string;
  /** As received. */
  readonly publicJwk: Readonly<Record<string, unknown>>;
  readonly context: RequestContext;
}

/**
 * Makes an Operator with a key of its own.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `invalid_request` for an unfit key, `conflict`
 *   for one that speaks for someone already, `subject_not_active`, `ledger_unavailable`
 */
export async function createOperator(
  deps: CreateDeps,
  { caller, name, publicJwk, context }: CreateOperatorRequest,
): Promise<Recorded<Operator>> {
  const { organization } = caller;
  const nowMs = deps.now();
  const trail: Trail = { ...trailOf(caller, context), action: "operator.create" };
  await demandOperator(deps, "mutation.refused", caller, trail);
  const key = await readKey(deps, trail, publicJwk);
  const id = newId("operator", nowMs, deps.randomBytes(16));
  const operator: Operator = { id, organization, name, status: "active", createdAtMs: nowMs };
  const row = {
    id,
    organization_id: organization,
    name,
    status: "active",
    created_at: new Date(nowMs),
  } as const;
  const ledger = await record(deps, {
    type: "operator.created",
    refusedAs: "mutation.refused",
    trail,
    outcome: { target: { kind: "operator", id }, detail: { thumbprint: key.thumbprint } },
    writes: [
      { into: "operator", row },
      credentialWrite({ kind: "operator", organization, id }, key, nowMs, deps.randomBytes(16)),
    ],
    conditions: callerConditions(caller),
    demands: context.demands,
  });
  return { ...operator, ledger };
}
