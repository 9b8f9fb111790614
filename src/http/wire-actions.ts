import { type AccountedAction, type ActionReport, isUnaccounted } from "../domain/action.ts";
import type { Authorization } from "../journeys/action/authorize.ts";
import type { ReportedAction } from "../journeys/action/report.ts";

/** A decision about one action, as the contract writes it. */
export function authorizationToWire(authorization: Authorization) {
  if (authorization.decision !== "allow") {
    const { retryAfterSeconds, ...no } = authorization;
    return { ...no, retry_after: retryAfterSeconds };
  }
  const { action, callsLeft, ...others } = authorization;
  return { ...others, action_id: action, calls_left: callsLeft };
}

/** A report that was recorded, as the contract writes it. */
export function reportedToWire({ reporter, standing, over, ledger }: ReportedAction) {
  const beyond = Object.fromEntries(over.map(({ unit, amount }) => [unit, amount]));
  return {
    reporter: reporter === "agent" ? ("claimed" as const) : ("witnessed" as const),
    standing,
    ...(over.length > 0 && { over: beyond }),
    ledger,
  };
}

/** A granted action with what was reported of it, as the contract writes it. */
export function actionToWire(accounted: AccountedAction, nowMs: number) {
  const { action, claimed, witnessed } = accounted;
  const { tool } = action;
  return {
    id: action.id,
    organization: action.organization,
    agent: action.agent,
    delegation: action.delegation,
    jti: action.jti,
    txn: action.txn,
    resource: action.resource,
    scope: action.scope,
    action: action.action,
    tool_call: tool && { server: tool.server, tool: tool.tool, arguments_hash: tool.argumentsHash },
    decided_at: new Date(action.decidedAtMs).toISOString(),
    granted: action.ledger,
    claimed: claimed && accountToWire(claimed),
    witnessed: witnessed && accountToWire(witnessed),
    unaccounted: isUnaccounted(accounted, nowMs),
  };
}

/** A report, as the contract writes it. */
export function actionReportToWire(report: ActionReport) {
  const { reporter, agent, action } = report;
  return { reporter, agent, action_id: action, ...accountToWire(report) };
}

function accountToWire({ standing, outcome, reportedAtMs, ledger, jws }: ActionReport) {
  return { standing, outcome, reported_at: new Date(reportedAtMs).toISOString(), ledger, report: jws };
}
