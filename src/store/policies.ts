import type { OrganizationId, ProposalId } from "@countersign/sdk/model/ids";
import type { AppliedPolicy, PolicyProposal } from "../domain/policy-version.ts";
import type { Database } from "./database.ts";
import type { PolicyApplied, PolicyProposal as ProposalRow } from "./generated/client.ts";
import { type Page, storedAs } from "./stored-as.ts";

/** The version of an organization's policy with this number, or the one in force; undefined when there is none. */
export async function findAppliedPolicy(
  db: Database,
  organization: OrganizationId,
  number: number | "current",
): Promise<AppliedPolicy | undefined> {
  const row = await db.prisma.policyApplied.findFirst({
    where: { organizationId: organization, ...(number !== "current" && { number }) },
    orderBy: { number: "desc" },
  });
  return row === null ? undefined : appliedPolicyOf(row);
}

/** A page of an organization's versions by number, without their lines. */
export async function listAppliedPolicies(
  db: Database,
  organization: OrganizationId,
  page: { readonly after: number; readonly limit: number },
): Promise<readonly AppliedPolicy[]> {
  const rows = await db.prisma.policyApplied.findMany({
    where: { organizationId: organization, number: { gt: page.after } },
    orderBy: { number: "asc" },
    take: page.limit,
    omit: { source: true },
  });
  return rows.map((row) => appliedPolicyOf({ ...row, source: null }));
}

/** The hash of the policy in force of each organization that has one, and its number. */
export async function readPoliciesInForce(
  db: Database,
): Promise<ReadonlyMap<OrganizationId, { readonly hash: string; readonly number: number }>> {
  const rows = await db.prisma.policyApplied.findMany({
    distinct: ["organizationId"],
    orderBy: [{ organizationId: "asc" }, { number: "desc" }],
    select: { organizationId: true, hash: true, number: true },
  });
  return new Map(rows.map(({ organizationId, ...row }) => [storedAs(organizationId), row]));
}

function appliedPolicyOf(row: PolicyApplied): AppliedPolicy {
  return {
    organization: storedAs(row.organizationId),
    number: row.number,
    hash: row.hash,
    source: row.source ?? undefined,
    appliedBy: row.appliedBy === null ? undefined : storedAs(row.appliedBy),
    signature: row.signature ?? undefined,
    appliedAtMs: row.appliedAt.getTime(),
    twoPerson: row.twoPerson,
    approval:
      row.approvedBy === null || row.approval === null
        ? undefined
        : { by: storedAs(row.approvedBy), signature: row.approval },
  };
}

/** The proposal of this id in this organization, or undefined. */
export async function findPolicyProposal(
  db: Database,
  organization: OrganizationId,
  id: ProposalId,
): Promise<PolicyProposal | undefined> {
  const row = await db.prisma.policyProposal.findFirst({ where: { id, organizationId: organization } });
  return row === null ? undefined : proposalOf(row);
}

/** A page of an organization's proposals by id, without their lines. */
export async function listPolicyProposals(
  db: Database,
  organization: OrganizationId,
  page: Page,
): Promise<readonly PolicyProposal[]> {
  const rows = await db.prisma.policyProposal.findMany({
    where: { organizationId: organization, id: { gt: page.after ?? "" } },
    orderBy: { id: "asc" },
    take: page.limit,
    omit: { source: true },
  });
  return rows.map((row) => proposalOf({ ...row, source: "" }));
}

function proposalOf(row: ProposalRow): PolicyProposal {
  return {
    id: storedAs(row.id),
    organization: storedAs(row.organizationId),
    number: row.number,
    hash: row.hash,
    previous: row.previous,
    source: row.source,
    proposedBy: storedAs(row.proposedBy),
    signature: row.signature,
    proposedAtMs: row.proposedAt.getTime(),
    status: storedAs(row.status),
  };
}
