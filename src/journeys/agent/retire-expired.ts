import { logOf } from "@countersign/sdk/model/ids";
import { type Agent, agentTransitions } from "../../domain/agent.ts";
import type { AppendEntry } from "../../ledger/append.ts";
import { revocationWrite } from "../revocation-receipt.ts";

export interface RetireExpiredDeps {
  readonly append: AppendEntry;
  readonly now: () => number;
  readonly invalidate: (id: string) => void;
  /** A bounded number of the Agents that expired before this time and are not retired yet. */
  readonly listExpiredAgents: (before: Date) => Promise<readonly Agent[]>;
}

// Another host's clock may be behind: nothing ends for good while it still counts as active there.
const graceMs = 60_000;

/**
 * Retires the Agents whose time is over, each with its entry. To be called every minute; until then they count as not
 * active all the same, and what several replicas retire at once is retired once.
 *
 * @throws DomainError as AppendEntry does
 */
export async function retireExpiredAgents(deps: RetireExpiredDeps): Promise<void> {
  const { from, to, entryType } = agentTransitions.retire;
  for (const agent of await deps.listExpiredAgents(new Date(deps.now() - graceMs))) {
    const { id, organization, owner, status } = agent;
    const entry = {
      organization,
      actor: { kind: "system", id: "expiry" },
      target: { kind: "agent", id },
      owner,
      cause: "expired",
    } as const;
    const reason = "it was retired meanwhile";
    await deps.append(logOf(organization), {
      entry: { ...entry, type: entryType, detail: { from: status, to } },
      writes: [
        { set: "agent", id, from, to },
        revocationWrite({ organization, kind: "agent", id, revokedAtMs: deps.now() }),
      ],
      otherwise: () => ({ ...entry, type: "mutation.refused", refusal: { code: "conflict", reason } }),
    });
    deps.invalidate(id);
  }
}
