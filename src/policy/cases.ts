import { faultText, ourWords } from "@countersign/sdk/contract/faults";
import { parseOrganizationId } from "@countersign/sdk/model/ids";
import { parse } from "yaml";
import { z } from "zod";
import { isAttributeName } from "../domain/attributes.ts";
import { type Decision, type DecisionRequest, decisionActions, relations } from "../domain/decision.ts";
import { type Obligation, parseObligation } from "../domain/obligation.ts";

/** A request of which it is known what the policy must say. */
export interface PolicyCase {
  readonly name: string;
  readonly request: DecisionRequest;
  readonly expected: Pick<Decision, "effect" | "rule"> & {
    /** What an allowance comes with, in the policy's order; absent where the case leaves that open. */
    readonly obligations?: readonly Obligation[] | undefined;
  };
}

const text = z.string().max(2048);
const attributes = z.record(
  text.refine(isAttributeName, "must be an attribute's name"),
  z.union([text, z.number(), z.boolean(), z.array(text).max(64)]),
);
const anObligation = text.transform((spelled, context) => {
  const obligation = parseObligation(spelled);
  if (obligation !== undefined) return obligation;
  context.addIssue("must be an obligation as a line spells it, such as redact:body");
  return z.NEVER;
});
const caseSchema = z.strictObject({
  name: text,
  request: z.strictObject({
    organization: text.transform((value, context) => {
      const organization = parseOrganizationId(value);
      if (organization !== undefined) return organization;
      context.addIssue("must be an organization's id");
      return z.NEVER;
    }),
    subject: text,
    roles: z.array(text).max(64),
    relation: z.enum(relations),
    resource: text,
    action: z.enum(decisionActions),
    scope: text,
    attributes: attributes.optional(),
  }),
  expected: z.strictObject({
    effect: z.enum(["allow", "deny", "needs_approval"]),
    rule: text,
    obligations: z.array(anObligation).max(64).optional(),
  }),
});

/** The decision table does not parse. The message says where and why. */
class CasesRefused extends Error {
  override readonly name = "CasesRefused";
}

/**
 * Reads a decision table like policies/cases.yaml.
 *
 * @param issuer the server's own URL, which `{issuer}` at the beginning of a resource stands for
 * @throws CasesRefused
 */
export function parseCases(yaml: string, issuer: string): readonly PolicyCase[] {
  const parsed = z.array(caseSchema).min(1).safeParse(parseYaml(yaml), { error: ourWords });
  if (!parsed.success) throw new CasesRefused(faultText(parsed.error));
  return parsed.data.map(({ request, ...rest }) => ({
    ...rest,
    request: { ...request, resource: request.resource.replace(/^\{issuer\}/, () => issuer) },
  }));
}

function parseYaml(yaml: string): unknown {
  try {
    return parse(yaml, { merge: true });
  } catch (error) {
    throw new CasesRefused("it is not YAML", { cause: error });
  }
}
