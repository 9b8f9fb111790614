import { z } from "zod";
import { aHash } from "./action-report.ts";
import { anId, aTime, listQueryOf, pageOf, withLedger } from "./fields.ts";
import { operation } from "./operation.ts";
import { aPolicyText, aSignedPolicy, policyCharsMax, policySchema } from "./policies.ts";

/** A policy that waits for a second operator. */
export const policyProposalSchema = z.strictObject({
  id: anId("proposal"),
  status: z
    .enum(["open", "approved", "withdrawn", "over"])
    .describe("`over`: a week old, or another version came into force."),
  number: z.int().positive().describe("The version that it would be."),
  hash: aHash.describe("SHA-256 of its canonical text."),
  previous: aHash.describe("Of the version that it is to follow."),
  proposed_at: aTime,
  proposed_by: anId("operator"),
  signature: z.string().max(4096).describe("What they signed of it: a JWT of type `policy-application+jwt`."),
});

const theProposal = z.strictObject({ id: anId("proposal") });

export const proposePolicy = operation({
  name: "proposePolicy",
  method: "post",
  path: "/v1/policy-proposals",
  summary:
    "Proposes the next policy where the one in force is marked two-person, signed as one that is applied.",
  anyOf: ["admin"],
  status: 201,
  refusedWith: ["policy_refused", "conflict"],
  bodyBytesMax: policyCharsMax,
  body: aSignedPolicy,
  answer: policyProposalSchema.extend(withLedger),
});

export const listPolicyProposals = operation({
  name: "listPolicyProposals",
  method: "get",
  path: "/v1/policy-proposals",
  summary: "Lists what was proposed, from the first on.",
  anyOf: ["admin", "audit"],
  query: listQueryOf("proposal"),
  answer: pageOf(policyProposalSchema),
});

export const getPolicyProposal = operation({
  name: "getPolicyProposal",
  method: "get",
  path: "/v1/policy-proposals/{id}",
  summary: "Shows a proposal with its lines.",
  anyOf: ["admin", "audit"],
  params: theProposal,
  answer: policyProposalSchema.extend({ source: aPolicyText }),
});

export const approvePolicy = operation({
  name: "approvePolicy",
  method: "post",
  path: "/v1/policy-proposals/{id}/approve",
  summary:
    "Brings a proposal into force: by another operator, who signed the same hashes and the proposal's id.",
  anyOf: ["admin"],
  status: 201,
  refusedWith: ["policy_refused", "conflict"],
  params: theProposal,
  body: z.strictObject({ signature: z.string().max(4096) }),
  answer: policySchema.extend(withLedger),
});

export const withdrawPolicy = operation({
  name: "withdrawPolicy",
  method: "post",
  path: "/v1/policy-proposals/{id}/withdraw",
  summary: "Ends a proposal that nobody approved.",
  anyOf: ["admin"],
  refusedWith: ["conflict"],
  params: theProposal,
  answer: policyProposalSchema.extend(withLedger),
});
