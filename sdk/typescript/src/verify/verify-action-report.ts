import {
  type ActionReportClaims,
  actionReportClaimsSchema,
  actionReportType,
} from "../contract/action-report.ts";
import { type StatementDeps, type VerifiedStatement, verifyStatement } from "./verify-statement.ts";

export interface ActionReportExpectation {
  /** The issuer that it was made for. */
  readonly issuer: string;
  /** The client id of whoever must have signed it. */
  readonly reporter: string;
}

/** What was reported, and by which key. Its hash is what the entry of the report holds. */
export type VerifiedActionReport = VerifiedStatement<ActionReportClaims>;

/**
 * Verifies what an agent or a Resource signed of an action, as `verifyStatement` does. Whether it is true, or the action
 * was granted, is another question.
 *
 * @throws VerificationError
 */
export async function verifyActionReport(
  deps: StatementDeps,
  report: string,
  { issuer, reporter }: ActionReportExpectation,
): Promise<VerifiedActionReport> {
  return verifyStatement(deps, report, {
    name: "report",
    type: actionReportType,
    claims: actionReportClaimsSchema,
    issuer,
    signer: reporter,
    charsMax: 8192,
    maxAge: "30 days",
  });
}
