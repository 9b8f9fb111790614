import { hash } from "node:crypto";
import type { LedgerDecision } from "@countersign/sdk/contract/ledger-entry";
import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import type { Scope } from "@countersign/sdk/model/scope";
import type { DecisionRequest, Verdict } from "../domain/decision.ts";
import type { Sealer } from "../keys/sealer.ts";
import type { Write } from "../store/write.ts";

export interface DecideDeps {
  /** Asks the policy that is in force. Synchronous, so that all scopes of one request meet the same version. */
  readonly decide: (request: DecisionRequest) => Verdict;
  readonly sealer: Pick<Sealer, "seal">;
  readonly now: () => number;
  readonly randomBytes: (size: number) => Uint8Array;
}

/** What the policy said of each scope, and what the ledger keeps of it. */
export interface Decided {
  readonly denied: Scope;
  /** Deny if any scope is denied: then its rule. */
  readonly decision: LedgerDecision;
  /** The sealed input, to be committed with the entry. */
  readonly write: Write;
}

/** Asks the policy about each scope of one request; there is at least one. */
export function decideScopes(
  deps: DecideDeps,
  question: Omit<DecisionRequest, "scope">,
  scopes: Scope,
): Decided {
  const answers = scopes.map((scope) => ({ scope, verdict: deps.decide({ ...question, scope }) }));
  const denied = answers.filter(({ verdict }) => verdict.effect === "deny");
  const [decisive] = denied.length > 0 ? denied : answers;
  if (decisive === undefined) throw new RangeError("a decision needs a scope");
  const { effect, rule, reason, policy } = decisive.verdict;
  const input = sealInput(deps, question, scopes);
  return {
    denied: denied.map(({ scope }) => scope),
    decision: { effect, rule, reason, policy, input: input.hash },
    write: input.write,
  };
}

/** The scopes, of those offered, that the policy allows. */
export function allowedScopes(
  deps: Pick<DecideDeps, "decide">,
  question: Omit<DecisionRequest, "scope">,
  offered: Scope,
): Scope {
  return offered.filter((scope) => deps.decide({ ...question, scope }).effect === "allow");
}

/** What a decision input is sealed for: it opens under no other hash. */
export function decisionInputContext(inputHash: string): string {
  return `decision_input ${inputHash}`;
}

function sealInput(
  deps: DecideDeps,
  question: Omit<DecisionRequest, "scope">,
  scopes: Scope,
): { hash: string; write: Write } {
  // The salt keeps anyone who knows the possible inputs from finding the one behind a hash, and is sealed with them.
  const salt = Buffer.from(deps.randomBytes(16)).toString("base64url");
  const input = canonicalJson({ salt, requests: scopes.map((scope) => ({ ...question, scope })) });
  const inputHash = hash("sha256", input, "base64url");
  const { dataKeyId, sealed } = deps.sealer.seal(Buffer.from(input, "utf8"), decisionInputContext(inputHash));
  const row = {
    hash: inputHash,
    organization_id: question.organization,
    sealed: Buffer.from(sealed).toString("base64"),
    data_key_id: dataKeyId,
    created_at: new Date(deps.now()),
  };
  return { hash: inputHash, write: { into: "decision_input", row } };
}
