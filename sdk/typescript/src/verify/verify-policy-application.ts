import {
  type PolicyApplicationClaims,
  policyApplicationClaimsSchema,
  policyApplicationType,
} from "../contract/policy-application.ts";
import { type StatementDeps, type VerifiedStatement, verifyStatement } from "./verify-statement.ts";

/**
 * Verifies what an operator signed when they brought a policy into force, as `verifyStatement` does. Long after, a
 * stranger passes the time at which it was recorded for `now`.
 *
 * @throws VerificationError
 */
export async function verifyPolicyApplication(
  deps: StatementDeps,
  application: string,
  expected: { readonly issuer: string; readonly operator: string },
): Promise<VerifiedStatement<PolicyApplicationClaims>> {
  return verifyStatement(deps, application, {
    name: "application",
    type: policyApplicationType,
    claims: policyApplicationClaimsSchema,
    issuer: expected.issuer,
    signer: expected.operator,
    charsMax: 4096,
    maxAge: "5 minutes",
  });
}
