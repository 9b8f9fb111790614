import type { Agent } from "../../domain/agent.ts";
import type { Recorded } from "../record/record.ts";
import { type ReceiptDeps, type RevocationReceipt, receiptOf } from "../revocation-receipt.ts";
import { type SetAgentStatusDeps, type SetAgentStatusRequest, setAgentStatus } from "./set-status.ts";

export type StopAgentDeps = SetAgentStatusDeps & ReceiptDeps;

export interface StopAgentRequest extends SetAgentStatusRequest {
  /** `suspended` for now, `retired` for good. */
  readonly status: "suspended" | "retired";
}

/**
 * Suspends or retires an Agent, and tells what ended with it.
 *
 * @throws DomainError as setAgentStatus does
 */
export async function stopAgent(
  deps: StopAgentDeps,
  request: StopAgentRequest,
): Promise<Recorded<Agent> & { readonly receipt: RevocationReceipt }> {
  const { changedAtMs, ...agent } = await setAgentStatus(deps, request);
  const { organization, id, ledger } = agent;
  const revocation = {
    organization,
    kind: "agent",
    id,
    index: ledger.index,
    revokedAtMs: changedAtMs,
  } as const;
  return { ...agent, receipt: await receiptOf(deps, revocation) };
}
