import type { ActionReportClaims } from "@countersign/sdk/contract/action-report";
import { sameAudience } from "@countersign/sdk/model/audience";
import type { ActionId, AgentId, OrganizationId } from "@countersign/sdk/model/ids";
import { type Action, type Deed, differencesOf, type Reporter, type Standing } from "../../domain/action.ts";

export interface CompareDeps {
  readonly findAction: (organization: OrganizationId, id: ActionId) => Promise<Action | undefined>;
  /** Of the actions that an Agent was granted under a token and that this kind of reporter has not reported yet, the nearest. */
  readonly findNearestUnreported: (
    organization: OrganizationId,
    of: {
      readonly agent: AgentId;
      readonly jti: string;
      readonly reporter: Reporter["kind"];
      readonly done: Deed;
    },
  ) => Promise<Action | undefined>;
}

/** What is told of an action, and by whom. */
export interface Told {
  readonly organization: OrganizationId;
  readonly reporter: Reporter;
  /** Who acted. */
  readonly agent: AgentId;
  readonly deed: ActionReportClaims["report"];
}

/** How what is told stands to what was granted. */
export interface Comparison {
  readonly standing: Standing;
  /** The granted action that it speaks of. */
  readonly granted: Action | undefined;
  /** Whether it accounts for that action: whoever may speak for it does so once. */
  readonly accounts: boolean;
  /** What is not as it was granted. */
  readonly differs: readonly string[];
}

/**
 * Holds what is told against what was granted to that Agent: the action it names, or else one under the token it names
 * that nobody of its kind has reported yet. One grant is good for one action.
 */
export async function compareWithGranted(deps: CompareDeps, told: Told): Promise<Comparison> {
  const { organization, agent, reporter, deed } = told;
  const done = doneOf(deed);
  if (deed.action_id !== undefined) {
    const granted = await deps.findAction(organization, deed.action_id);
    // An action of another agent's is to this one as if there were none.
    if (granted === undefined || granted.agent !== agent) return nothingGranted;
    const differs = differencesOf(granted, done);
    const accounts = reporter.kind === "agent" || sameAudience(granted.resource, done.resource);
    return { standing: differs.length === 0 ? "as_granted" : "out_of_scope", granted, accounts, differs };
  }
  if (deed.jti === undefined) return nothingGranted;
  const under = { agent, jti: deed.jti, reporter: reporter.kind, done };
  const granted = await deps.findNearestUnreported(organization, under);
  if (granted === undefined) return nothingGranted;
  const differs = differencesOf(granted, done);
  if (differs.length === 0) return { standing: "as_granted", granted, accounts: true, differs };
  // Which of them it was meant to be nobody knows, so it accounts for none.
  return { standing: "out_of_scope", granted, accounts: false, differs };
}

const nothingGranted: Comparison = {
  standing: "unauthorized",
  granted: undefined,
  accounts: false,
  differs: [],
};

function doneOf({ resource, scope, action, tool_call }: ActionReportClaims["report"]): Deed {
  const { server, tool, arguments_hash } = tool_call ?? {};
  const isCall = server !== undefined && tool !== undefined && arguments_hash !== undefined;
  return {
    resource,
    scope,
    action,
    tool: isCall ? { server, tool, argumentsHash: arguments_hash } : undefined,
  };
}
