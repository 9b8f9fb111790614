import { hash } from "node:crypto";
import type { LedgerDecision } from "@countersign/sdk/contract/ledger-entry";
import { canonicalJson, type JsonValue } from "@countersign/sdk/model/canonical-json";
import type { OrganizationId } from "@countersign/sdk/model/ids";
import type { Scope } from "@countersign/sdk/model/scope";
import { assertNever } from "../domain/assert-never.ts";
import { type Decision, type DecisionRequest, defaultDeny } from "../domain/decision.ts";
import type { Obliged } from "../domain/obligation.ts";
import type { Sealer } from "../keys/sealer.ts";
import { decideTogether } from "../policy/decide-together.ts";
import { recordedObligations } from "../policy/recorded-obligations.ts";
import type { StoredDecisionInput } from "../store/ledger-evidence.ts";
import type { Write } from "../store/write.ts";
import type { Refusal } from "./record/refusal.ts";

export interface DecideDeps {
  /** Asks the policy that is in force. Synchronous, so that all scopes of one request meet the same version. */
  readonly decide: (request: DecisionRequest) => Decision;
  readonly sealer: Pick<Sealer, "seal">;
  readonly now: () => number;
  readonly randomBytes: (size: number) => Uint8Array;
}

/** What the policy said of all scopes of one request. Only `allow` has what an entry of success is made of. */
export type ScopesDecision =
  | {
      readonly effect: "allow";
      readonly decision: LedgerDecision;
      /** The sealed input, to be committed with the entry. */
      readonly write: Write;
      /** What the allowance comes with. */
      readonly obligations: readonly Obliged[];
    }
  | { readonly effect: "deny" | "needs_approval"; readonly refusal: Refusal };

/**
 * Asks the policy about each scope of one Resource, as `decideAll` does.
 *
 * @param call what the request is about, to be sealed with the questions; no policy reads it yet
 */
export function decideScopes(
  deps: DecideDeps,
  question: Omit<DecisionRequest, "scope">,
  scopes: Scope,
  call?: JsonValue,
): ScopesDecision {
  return decideAll(deps, questionsOf(question, scopes), call);
}

/** One question for each scope. */
export function questionsOf(question: Omit<DecisionRequest, "scope">, scopes: Scope): DecisionRequest[] {
  return scopes.map((scope) => ({ ...question, scope }));
}

/**
 * Asks the policy all that one request comes to, and seals what it was asked.
 *
 * @throws RangeError without a question
 */
export function decideAll(
  deps: DecideDeps,
  requests: readonly DecisionRequest[],
  call?: JsonValue,
): ScopesDecision {
  const { decision: made, request, notAllowed } = decideTogether(deps.decide, requests);
  const { effect, rule, reason, policy } = made;
  const input = sealInput(deps, requests, request.organization, call);
  const obligations = recordedObligations(made.obligations);
  const decision: LedgerDecision = {
    effect,
    rule,
    reason,
    policy,
    input: input.hash,
    ...(obligations && { obligations }),
  };
  switch (effect) {
    case "allow":
      return { effect, decision, write: input.write, obligations: made.obligations };
    case "deny":
    // Nobody can be asked yet, and what nobody approved is not allowed.
    case "needs_approval": {
      const scopes = notAllowed.map(({ scope }) => scope).join(" ");
      const publicDetail = `policy does not allow: ${scopes}${whyNotGranted(request, rule)}`;
      const decided = { decision, write: input.write };
      return { effect, refusal: { code: "not_authorized", publicDetail, reason, decided } };
    }
    default:
      return assertNever(effect);
  }
}

/** Of a grant that an operator asserts, and that no rule allows: how its User stands to the Resource. */
function whyNotGranted({ action, relation, subject, resource }: DecisionRequest, rule: string): string {
  const isNobodys = action === "delegation.grant" && relation === "none" && rule === defaultDeny;
  return isNobodys ? `: ${subject} does not own ${resource}, and it is not open to all` : "";
}

/** The scopes, of those offered, that the policy allows. */
export function allowedScopes(
  deps: Pick<DecideDeps, "decide">,
  question: Omit<DecisionRequest, "scope">,
  offered: Scope,
): Scope {
  return offered.filter((scope) => deps.decide({ ...question, scope }).effect === "allow");
}

/** The text of a decision's input that was sealed. @throws Error as Sealer's `open` does */
export async function openDecisionInput(
  sealer: Pick<Sealer, "open">,
  { hash, sealed, dataKeyId }: StoredDecisionInput,
): Promise<string> {
  return Buffer.from(await sealer.open(dataKeyId, sealed, decisionInputContext(hash))).toString("utf8");
}

/** What a decision input is sealed for: it opens under no other hash. */
export function decisionInputContext(inputHash: string): string {
  return `decision_input ${inputHash}`;
}

function sealInput(
  deps: DecideDeps,
  requests: readonly DecisionRequest[],
  organization: OrganizationId,
  call: JsonValue | undefined,
): { hash: string; write: Write } {
  // The salt keeps anyone who knows the possible inputs from finding the one behind a hash, and is sealed with them.
  const salt = Buffer.from(deps.randomBytes(16)).toString("base64url");
  const input = canonicalJson({ salt, requests: requests.map((request) => ({ ...request })), call });
  const inputHash = hash("sha256", input, "base64url");
  const { dataKeyId, sealed } = deps.sealer.seal(Buffer.from(input, "utf8"), decisionInputContext(inputHash));
  const row = {
    hash: inputHash,
    organization_id: organization,
    sealed: Buffer.from(sealed).toString("base64"),
    data_key_id: dataKeyId,
    created_at: new Date(deps.now()),
  };
  return { hash: inputHash, write: { into: "decision_input", row } };
}
