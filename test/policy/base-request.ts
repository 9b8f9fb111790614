import { parseOrganizationId } from "@countersign/sdk/model/ids";
import type { DecisionRequest } from "../../src/domain/decision.ts";

const organization = parseOrganizationId("acme");
if (organization === undefined) throw new Error("acme must be an organization's id");

/** A request as an agent makes it; tests vary it. */
export const baseRequest: DecisionRequest = {
  organization,
  subject: "agt_1",
  roles: ["agent"],
  relation: "delegated",
  resource: "https://mail.example",
  action: "token.exchange",
  scope: "mail.read",
};
