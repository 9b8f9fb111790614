import { hash } from "node:crypto";
import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import { argumentsHash } from "@countersign/sdk/contract/arguments-hash";
import type { LedgerPosition } from "@countersign/sdk/contract/fields";
import type { ObligationWire } from "@countersign/sdk/contract/obligation";
import { callFault } from "@countersign/sdk/model/authorization-details";
import { canonicalJson, type JsonValue } from "@countersign/sdk/model/canonical-json";
import type { ErrorCode } from "@countersign/sdk/model/error-codes";
import { type ActionId, newId } from "@countersign/sdk/model/ids";
import { parseScope, type Scope, scopeBeyond } from "@countersign/sdk/model/scope";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { ToolUse } from "../../domain/action.ts";
import type { Attributes } from "../../domain/attributes.ts";
import { DomainError } from "../../domain/domain-error.ts";
import { type ActionTraits, attributesOfMoment, attributesOfTraits } from "../../domain/intended-action.ts";
import { sha256 } from "../../ledger/sha256.ts";
import type { Write } from "../../store/write.ts";
import { type DecideDeps, decideScopes } from "../decide-scopes.ts";
import { spend } from "../delegation/new-delegation.ts";
import { authorizeQuestion } from "../questions.ts";
import {
  type Happening,
  type RecordDeps,
  type RequestContext,
  recordSpending,
  refuse,
  type Spent,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal, type Refusal } from "../record/refusal.ts";
import type { GroundsDeps } from "../token/grounds.ts";
import { type AgentPrincipal, type Basis, basisOf, deadToken } from "./basis.ts";
import { rateLimitsOf } from "./rate.ts";
import { holdsOf, reserveWrites, toldOf } from "./reserve.ts";

export type AuthorizeDeps = GroundsDeps & DecideDeps & RecordDeps;

/** A call of a tool as it is about to be made. */
export interface IntendedCall {
  readonly server: string;
  readonly tool: string;
  /** Bounded JSON. Default: none. */
  readonly arguments?: { readonly [name: string]: JsonValue } | undefined;
  /** In place of the arguments, from who keeps them to itself. */
  readonly argumentsHash?: string | undefined;
}

export interface AuthorizeRequest {
  /** Whose token it is, proven to hold the token's key. */
  readonly presenter: Principal;
  /** Of a token that this server signed, for whichever audience. */
  readonly claims: AccessTokenClaims;
  /** The token itself. */
  readonly accessToken: string;
  /** What is about to be done. */
  readonly action: string;
  /** What the Resource demands for it; at least one. */
  readonly scope: Scope;
  readonly call?: IntendedCall | undefined;
  /** What else the agent says of it. Default: nothing. */
  readonly traits?: ActionTraits;
  readonly context: RequestContext;
}

/** Whether one action may be done now. Only `allow` is a yes, and it is recorded. */
export type Authorization =
  | {
      readonly decision: "allow";
      readonly action: ActionId;
      readonly rule: string;
      readonly reason: string;
      readonly policy: string;
      readonly ledger: LedgerPosition;
      /** What the delegation has left after it, where it is limited. */
      readonly callsLeft: number | undefined;
      /** What the agent and the Resource have to see to. */
      readonly obligations: readonly ObligationWire[] | undefined;
    }
  | {
      readonly decision: "deny" | "needs_approval";
      readonly code: ErrorCode;
      readonly reason: string;
      /** The policy's, where it was asked. */
      readonly rule?: string;
      readonly policy?: string;
      /** Of what is done too often: when it is not any more, at the latest. */
      readonly retryAfterSeconds?: number | undefined;
    };

/**
 * Decides about one action under the very token that it is to be done with, before it is done. A yes is recorded before
 * it is answered, takes one call from the delegation's budget and reserves what the action may cost, and is good for one
 * action; all that the token rests on is read again by that commit. A no is an answer too, and has its entry.
 *
 * @throws DomainError `invalid_token` for a token that carries no authority any more, `not_authorized` for another
 *   client than an agent; `ledger_unavailable`: the caller must take it for a no
 */
export async function authorizeAction(
  deps: AuthorizeDeps,
  request: AuthorizeRequest,
): Promise<Authorization> {
  const { presenter: agent, claims, action, scope, call, context } = request;
  const nowMs = deps.now();
  const asked: Trail = { ...trailOf(agent, context), action: "action.authorize", jti: claims.jti };
  if (agent.kind !== "agent") throw await refuse(deps, "action.refused", asked, claims.jti, agentsOnly);
  const about = { action, scope: [...scope], ...(call && { tool: call.tool }) };
  const basis = await basisOf(deps, agent, claims, nowMs);
  const trail: Trail = { ...asked, ...basis.trail };
  const refused = (refusal: Refusal) =>
    refuse(deps, "action.refused", trail, deedOf(request), { ...refusal, about });
  if (!basis.live) throw await refused(basis.refusal);

  const holds = faultOfToken(claims, scope, call) ?? holdsOf(basis.leaf?.budget ?? {}, request.traits?.cost);
  if ("code" in holds) {
    await refused(holds);
    return noOf("deny", holds);
  }
  const relation = basis.leaf === undefined ? "direct" : "delegated";
  const question = authorizeQuestion(
    { id: agent.id, kind: basis.kind },
    relation,
    basis.resource,
    knownOf(request, nowMs),
  );
  const decided = decideScopes(deps, question, scope, sealedCall(action, call));
  if (decided.effect !== "allow") {
    await refused(decided.refusal);
    return noOf(decided.effect, decided.refusal);
  }

  const id = newId("action", nowMs, deps.randomBytes(16));
  const at = { organization: agent.organization, agent: agent.id, action: id };
  const rates = rateLimitsOf(at, decided.obligations, nowMs);
  const tool = call && toolUseOf(call, request.accessToken);
  const happening: Happening = {
    type: "action.authorized",
    refusedAs: "action.refused",
    trail: { ...trail, ...about },
    outcome: {
      decision: decided.decision,
      detail: {
        action_id: id,
        ...(tool && { server: tool.server, arguments_hash: tool.argumentsHash }),
        ...(holds.length > 0 && { reserved: toldOf(holds) }),
      },
    },
    writes: [
      actionWrite({ id, agent }, request, basis, tool, nowMs),
      decided.write,
      ...spend(basis.leaf, "calls", 1),
      ...reserveWrites(id, basis.leaf, holds, nowMs),
      ...rates.writes,
      ...basis.writes,
    ],
    conditions: [...basis.conditions, ...rates.conditions],
    demands: context.demands,
  };
  const recorded = await recordOrAnswer(deps, happening, rates.withinSeconds);
  if ("decision" in recorded) return recorded;
  const { rule, reason, policy, obligations } = decided.decision;
  const { ledger, left } = recorded;
  const callsLeft = left.find(({ unit }) => unit === "calls")?.left;
  return { decision: "allow", action: id, rule, reason, policy, ledger, callsLeft, obligations };
}

/** What policy sees of the action, beside who acts where. It is sealed with the question. */
function knownOf({ claims, traits = {} }: AuthorizeRequest, nowMs: number): Attributes {
  return {
    ...attributesOfTraits(traits),
    ...attributesOfMoment(nowMs),
    "subject.attestation": claims.attestation ?? "none",
  };
}

/** Tells one deed under a token from another: only what is refused of the very same is a repeat. */
function deedOf({ claims, action, scope, call, traits = {} }: AuthorizeRequest): string {
  const said = { ...attributesOfTraits(traits) };
  const deed = canonicalJson({ scope: [...scope], call: sealedCall(action, call), said });
  return `${claims.jti} ${hash("sha256", deed, "base64url")}`;
}

/** What is kept of the request, sealed. */
function sealedCall(action: string, call: IntendedCall | undefined): JsonValue {
  if (call === undefined) return { action };
  const { server, tool, arguments: given, argumentsHash: hash } = call;
  return { action, tool_call: { server, tool, arguments: given, arguments_hash: hash } };
}

/** Why a token does not reach to what is asked, whatever the policy says; undefined: it does. */
function faultOfToken(
  claims: AccessTokenClaims,
  scope: Scope,
  call: IntendedCall | undefined,
): Refusal | undefined {
  const beyond = scopeBeyond(scope, parseScope(claims.scope ?? "") ?? []);
  if (beyond.length > 0) {
    return plainRefusal("insufficient_scope", "the access token does not have this scope");
  }
  // They were JSON in the token.
  const details = (claims.authorization_details ?? []) as readonly JsonValue[];
  const fault = details.length === 0 ? undefined : faultOfCall(details, call);
  return fault === undefined ? undefined : plainRefusal("outside_details", fault);
}

function faultOfCall(details: readonly JsonValue[], call: IntendedCall | undefined): string | undefined {
  if (call === undefined) return "the access token is limited to tool calls: name the call";
  // Arguments that may be left out would pass unseen.
  if (call.argumentsHash !== undefined) return "the arguments have to be seen, not their hash only";
  return callFault(details, call);
}

function toolUseOf({ server, tool, ...call }: IntendedCall, accessToken: string): ToolUse {
  const given = call.argumentsHash ?? argumentsHash(call.arguments ?? {}, accessToken, sha256);
  return { server, tool, argumentsHash: given };
}

function actionWrite(
  { id, agent }: { readonly id: ActionId; readonly agent: AgentPrincipal },
  { claims, action, scope }: AuthorizeRequest,
  { leaf, owner, subject, resource }: Basis,
  tool: ToolUse | undefined,
  nowMs: number,
): Write {
  const row = {
    id,
    organization_id: resource.organization,
    agent_id: agent.id,
    owner_id: owner,
    subject_id: subject ?? null,
    delegation_id: leaf?.id ?? null,
    jti: claims.jti,
    txn: claims.txn,
    resource: resource.audience,
    scope,
    action,
    tool_server: tool?.server ?? null,
    tool: tool?.tool ?? null,
    arguments_hash: tool?.argumentsHash ?? null,
    decided_at: new Date(nowMs),
  };
  return { into: "action", row };
}

/**
 * Records the yes; or the no that a condition makes of it, which is the answer where the token itself is good.
 *
 * @throws DomainError `invalid_token` where it is not, whose entry says why; `ledger_unavailable`
 */
async function recordOrAnswer(
  deps: AuthorizeDeps,
  happening: Happening,
  retryAfterSeconds: number | undefined,
): Promise<Spent | Exclude<Authorization, { decision: "allow" }>> {
  try {
    return await recordSpending(deps, happening);
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    const { code, publicDetail } = error;
    if (["budget_exhausted", "session_mismatch", "commingling_refused"].includes(code))
      return { decision: "deny", code, reason: publicDetail };
    if (code === "too_many_requests")
      return { decision: "deny", code, reason: publicDetail, retryAfterSeconds };
    // A conflict: the agent was transferred, which ends its tokens.
    const isDead = ["invalid_delegation", "subject_not_active", "conflict"].includes(code);
    throw isDead ? new DomainError("invalid_token", deadToken, error) : error;
  }
}

const agentsOnly: Refusal = {
  code: "not_authorized",
  publicDetail: "only agents act",
  reason: "the presenter is no agent",
};

function noOf(decision: "deny" | "needs_approval", { code, publicDetail, decided }: Refusal): Authorization {
  if (decided === undefined) return { decision, code, reason: publicDetail };
  const { rule, reason, policy } = decided.decision;
  return { decision, code, rule, reason, policy };
}
