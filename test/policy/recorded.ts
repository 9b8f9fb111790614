import { randomBytes } from "node:crypto";
import type { LedgerDecision } from "@countersign/sdk/contract/ledger-entry";
import type { DecisionRequest } from "../../src/domain/decision.ts";
import { decideAll } from "../../src/journeys/decide-scopes.ts";
import { decide } from "../../src/policy/decide.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy, type WrittenPolicy } from "../../src/policy/snapshot.ts";
import type { Write } from "../../src/store/write.ts";

const { model } = await readShippedPolicy();

/** The policy that these lines are. */
export const policyOf = (...lines: readonly string[]): Promise<WrittenPolicy> =>
  loadPolicy({ model, policy: lines.join("\n"), issuer: "https://id.example" });

/** A decision as a journey makes it, the input of which lies open. */
export interface Made {
  readonly decision: LedgerDecision;
  readonly input: string;
  readonly write: Write;
}

/** Has a policy decide, as a journey does. */
export function make(policy: WrittenPolicy, ...requests: readonly DecisionRequest[]): Made {
  let input = "";
  const seal = (plaintext: Uint8Array) => {
    input = Buffer.from(plaintext).toString("utf8");
    return { dataKeyId: "1", sealed: plaintext };
  };
  const deps = { decide: (request: DecisionRequest) => decide(policy, request), sealer: { seal } };
  const made = decideAll({ ...deps, now: Date.now, randomBytes }, requests, { action: "read" });
  const decided = made.effect === "allow" ? made : made.refusal.decided;
  if (decided === undefined) throw new Error("a decision was refused without one");
  return { ...decided, input };
}

/** That decision as an entry of `acme` tells of it. */
export const recordedOf = ({ decision, input }: Pick<Made, "decision" | "input">) => ({
  organization: "acme",
  decision,
  input,
});
