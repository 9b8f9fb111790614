import type { ActionId, AgentId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Obliged } from "../../domain/obligation.ts";
import type { Condition, Write } from "../../store/write.ts";

/** That an action is not done too often, and that it counts from then on. */
export interface RateLimits {
  readonly conditions: readonly Condition[];
  readonly writes: readonly Write[];
  /** After so many seconds one that is too many is none any more, at the latest; undefined where nothing limits. */
  readonly withinSeconds: number | undefined;
}

/** What the lines that limit how often a subject does something ask of the commit that allows it to be done once more. */
export function rateLimitsOf(
  { organization, agent, action }: { organization: OrganizationId; agent: AgentId; action: ActionId },
  obligations: readonly Obliged[],
  nowMs: number,
): RateLimits {
  // One line may have matched several scopes: the action is one all the same.
  const rates = new Map(
    obligations.flatMap((one) => (one.kind === "rate" ? [[one.rule, one] as const] : [])),
  );
  const limits = [...rates.values()].map(({ rule, times, perSeconds }) => ({
    id: `${rule} ${agent}`,
    times,
    perSeconds,
  }));
  return {
    conditions: limits.map(({ id, times, perSeconds }) => ({
      on: "rate",
      id,
      times,
      since: new Date(nowMs - perSeconds * 1000).toISOString(),
    })),
    writes: limits.map(({ id }) => ({
      into: "rate_use",
      row: { id, organization_id: organization, action_id: action, used_at: new Date(nowMs) },
    })),
    withinSeconds: limits.length === 0 ? undefined : Math.max(...limits.map(({ perSeconds }) => perSeconds)),
  };
}
