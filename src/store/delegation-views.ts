import type { DelegationId, OrganizationId } from "@countersign/sdk/model/ids";
import type { DelegationView } from "../domain/delegation.ts";
import type { Database } from "./database.ts";
import { delegationOf } from "./delegations.ts";
import { type Page, storedAs } from "./stored-as.ts";

/** The Delegation of this id in this organization with what it comes to now, or undefined. */
export async function findDelegationView(
  db: Database,
  organization: OrganizationId,
  id: DelegationId,
  now: Date,
): Promise<DelegationView | undefined> {
  const [view] = await viewsWhere(db, { organizationId: organization, id }, 1, now);
  return view;
}

/** A page of the organization's Delegations, by id; only those below `under`, where that is given. */
export async function listDelegationViews(
  db: Database,
  organization: OrganizationId,
  { after = "", limit, under }: Page & { readonly under?: DelegationId | undefined },
  now: Date,
): Promise<readonly DelegationView[]> {
  const below = under && { path: { has: under }, NOT: { id: under } };
  return viewsWhere(db, { organizationId: organization, id: { gt: after }, ...below }, limit, now);
}

type Where = NonNullable<Parameters<Database["prisma"]["delegation"]["findMany"]>[0]>["where"];

async function viewsWhere(
  db: Database,
  where: Where,
  take: number,
  now: Date,
): Promise<readonly DelegationView[]> {
  const rows = await db.prisma.delegation.findMany({ where: { ...where }, orderBy: { id: "asc" }, take });
  if (rows.length === 0) return [];
  const shown = await db.prisma.$queryRaw<{ id: string; audience: string; standing: string }[]>`
    SELECT d.id, r.audience, CASE
      WHEN EXISTS (SELECT FROM delegation h WHERE h.id = ANY (d.path) AND h.status <> 'active') THEN 'revoked'
      WHEN d.expires_at <= ${now} THEN 'expired'
      WHEN r.status <> 'active' OR s.status <> 'active' OR EXISTS (
        SELECT FROM delegation h JOIN agent a ON a.id = h.grantee_agent_id JOIN "user" o ON o.id = a.owner_id
        WHERE h.id = ANY (d.path) AND (a.status <> 'active' OR o.status <> 'active')) THEN 'inactive'
      ELSE 'active' END AS standing
    FROM delegation d JOIN resource r ON r.id = d.resource_id JOIN "user" s ON s.id = d.subject_id
    WHERE d.id = ANY (${rows.map(({ id }) => id)})`;
  const byId = new Map(shown.map((one) => [one.id, one]));
  return rows.flatMap((row) => {
    const one = byId.get(row.id);
    return one === undefined
      ? []
      : [{ ...delegationOf(row), audience: storedAs(one.audience), standing: storedAs(one.standing) }];
  });
}
