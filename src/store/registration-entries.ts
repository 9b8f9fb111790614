import type { AgentId, EntryId, NodeId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Selector } from "@countersign/sdk/model/selector";
import { spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { EntryFilter, RegistrationEntry } from "../domain/registration-entry.ts";
import type { Database } from "./database.ts";
import type { RegistrationEntry as Row } from "./generated/client.ts";
import { type Page, storedAs } from "./stored-as.ts";

/** The entry of this id in this organization, or undefined. */
export async function findEntry(
  db: Database,
  trustDomain: TrustDomain,
  organization: OrganizationId,
  id: EntryId,
): Promise<RegistrationEntry | undefined> {
  const row = await db.prisma.registrationEntry.findFirst({ where: { id, organizationId: organization } });
  return row === null ? undefined : entryOf(trustDomain, row);
}

/** A page of the organization's entries that are not deleted, by id. */
export async function listEntries(
  db: Database,
  trustDomain: TrustDomain,
  organization: OrganizationId,
  { after, limit, agent, parent, selector }: Page & EntryFilter,
): Promise<readonly RegistrationEntry[]> {
  const rows = await db.prisma.registrationEntry.findMany({
    where: {
      organizationId: organization,
      id: { gt: after ?? "" },
      status: "active",
      ...(agent !== undefined && { agentId: agent }),
      ...(parent !== undefined && { parentId: parent }),
      ...(selector !== undefined && { selectors: { has: selector } }),
    },
    orderBy: { id: "asc" },
    take: limit,
  });
  return rows.map((row) => entryOf(trustDomain, row));
}

/** The entry that was made last of those that a Node attests for, or, for null, the server itself; undefined for none. */
export async function findNewestEntryOf(
  db: Database,
  organization: OrganizationId,
  parent: NodeId | null,
): Promise<EntryId | undefined> {
  const row = await db.prisma.registrationEntry.findFirst({
    where: { organizationId: organization, parentId: parent, status: "active" },
    orderBy: { id: "desc" },
    select: { id: true },
  });
  return row === null ? undefined : storedAs(row.id);
}

/** Where in the log the latest change of any entry of the organization stands; undefined while there never was one. */
export async function findLatestEntryChange(
  db: Database,
  organization: OrganizationId,
): Promise<bigint | undefined> {
  // Not `_max`: Prisma has it read all rows of the organization.
  const row = await db.prisma.registrationEntry.findFirst({
    where: { organizationId: organization },
    orderBy: { index: "desc" },
    select: { index: true },
  });
  return row?.index;
}

const pageRows = 5_000;

/** All entries of the organization that a Node attests for, or, for null, the server itself; none that is deleted. */
export async function listEntriesOf(
  db: Database,
  trustDomain: TrustDomain,
  organization: OrganizationId,
  parent: NodeId | null,
): Promise<readonly RegistrationEntry[]> {
  const all: RegistrationEntry[] = [];
  for (let after = ""; ; ) {
    const rows = await db.prisma.registrationEntry.findMany({
      where: { organizationId: organization, parentId: parent, status: "active", id: { gt: after } },
      orderBy: { id: "asc" },
      take: pageRows,
    });
    all.push(...rows.map((row) => entryOf(trustDomain, row)));
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageRows) return all;
    after = last.id;
  }
}

/** The entry of a row. */
export function entryOf(trustDomain: TrustDomain, row: Row): RegistrationEntry {
  const organization: OrganizationId = storedAs(row.organizationId);
  const agent: AgentId = storedAs(row.agentId);
  return {
    id: storedAs(row.id),
    organization,
    agent,
    spiffeId: spiffeIdOf(trustDomain, { kind: "agent", organization, id: agent }),
    parent: row.parentId === null ? undefined : storedAs(row.parentId),
    selectors: row.selectors.map((selector) => storedAs<Selector>(selector)),
    x509TtlSeconds: row.x509TtlSeconds,
    jwtTtlSeconds: row.jwtTtlSeconds,
    dnsNames: row.dnsNames,
    hint: row.hint ?? undefined,
    federatesWith: row.federatesWith.map((name) => storedAs<TrustDomain>(name)),
    status: storedAs(row.status),
    createdAtMs: row.createdAt.getTime(),
  };
}
