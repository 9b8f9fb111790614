import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import ts from "typescript";
import type { Outcome } from "./outcome.ts";
import { withPlanted } from "./planted.ts";

const folder = "src/store";

/**
 * Functions of the store that take no organization, or whose `where` names none, and why none of them could read or
 * change another's for a caller.
 */
const exceptions: Readonly<Record<string, string>> = {
  "agents/listExpiredAgents": "a background task: retires each in the log of its own organization",
  "assertion-pins/pinAssertion":
    "an assertion is known by its hash, which its presenter alone could have made",
  "assertion-pins/forgetExpiredPins": "a background task that answers nothing",
  "rate-uses/forgetOldRateUses": "a background task that answers nothing",
  "reservations/listUnreported": "a background task: releases each in the log of its own organization",
  "data-keys/listDataKeys": "what is sealed is the installation's, and no caller is shown a data key",
  "data-keys/insertDataKey": "as above",
  "delegations/listExpiredBudgets": "a background task: returns each in the log of its own organization",
  "federation/listFederations": "the installation federates for all; the face shows those who run it alone",
  "federation/findFederation": "as above",
  "federation/claimDueFederations": "a background task",
  "federation/noteFetched": "how fetching goes: no caller says of which",
  "federation/noteFailed": "as above",
  "follower-cursors/listFollowerBatches": "a background task: follows each log by itself",
  "idempotency-keys/forgetExpiredIdempotencyKeys": "a background task that answers nothing",
  "installation/withInstallationLock": "the first start, before there is an organization",
  "installation/findInstallation": "what the installation calls itself, the same for all",
  "installation/createInstallation": "the first start, before there is an organization",
  "ledger-evidence/readPolicyTexts":
    "a policy is found by the hash of its text, which an entry of the reader's log bears",
  "ledger-partitions/ensurePartitions": "tables, not rows",
  "logs/listLogs": "for health and recovery, which are of the whole installation",
  "logs/listUnpublishedLogs": "a background task: publishes each log by itself",
  "nodes/findJoinToken": "its bearer says nothing of itself but the token, which says whose it is",
  "nodes/forgetExpiredOfNodes": "a background task that answers nothing",
  "nodes/listTouchedNodes": "tells each node of its own entries, by the ids that changed, and nobody else",
  "policies/readPoliciesInForce": "what each process decides by, for each organization its own",
  "pushed-requests/forgetExpiredPushedRequests": "a background task that answers nothing",
  "replay/useUp":
    "a key is the hash of a client, or of a trust, and a value: nobody learns more than that it was used",
  "revoked-tokens/forgetExpiredRevocations": "a background task that answers nothing",
  "signing-keys/keepCertificate":
    "the trust domain is the installation's; a background task that answers nothing",
  "signing-keys/listSigningKeys":
    "the installation signs for all; the face shows who does not run it the own log's keys only",
  "svids/forgetExpiredSvids": "a background task that answers nothing",
  "trusted-issuers/listTrustsIn": "whose a token is, its tenant claim tells: nobody is shown what was read",
  "transaction-sessions/forgetOldTransactions": "a background task that answers nothing",
};

/**
 * Each exported function of the store that takes the database takes the organization too: itself, its log, or something
 * that bears it. One that forgets it reads and changes everybody's. And each `where` of Prisma there names one: its id or
 * its log is a member, alone or of a unique index. What this does not see: the SQL that the store writes itself, in which
 * any table may lack the condition, and what is selected through a relation.
 */
export async function check(): Promise<Outcome> {
  const paths = readdirSync(folder)
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name));
  const { seen, lacking } = functionsOf(paths);
  const problems = lacking.flatMap((name) =>
    exceptions[name] === undefined
      ? [`${name} takes no organization, or has a where without one; let it, or say in this check why not`]
      : [],
  );
  const stale = Object.keys(exceptions).filter((name) => !lacking.includes(name));
  problems.push(...stale.map((name) => `${name} is an exception, and needs none`), ...(await proof()));
  if (seen === 0) problems.push("no function was looked at");
  return { seen: `${seen} functions, ${Object.keys(exceptions).length} exceptions`, problems };
}

/** The functions that take a Database, and those of them that take nothing of an organization; or have a where without. */
function functionsOf(paths: readonly string[]): { seen: number; lacking: string[] } {
  const options = { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext };
  const program = ts.createProgram(paths, {
    ...options,
    strict: true,
    noEmit: true,
    customConditions: ["source"],
  });
  const checker = program.getTypeChecker();
  let seen = 0;
  const lacking = new Set<string>();
  for (const path of paths) {
    for (const node of program.getSourceFile(path)?.statements ?? []) {
      if (!ts.isFunctionDeclaration(node)) continue;
      const name = `${basename(path, ".ts")}/${node.name?.text}`;
      if (wheresIn(node).some((where) => !namesOrganization(checker, where))) lacking.add(name);
      if (!isExported(node)) continue;
      const types = node.parameters.map((parameter) => checker.getTypeAtLocation(parameter));
      if (!types.some((type) => nameOf(type) === "Database")) continue;
      seen++;
      if (!types.some(bearsOrganization)) lacking.add(name);
    }
  }
  return { seen, lacking: [...lacking] };
}

/**
 * What each call of Prisma in a function selects rows by: of `prisma.agent.findMany({ where: … })` that member; the call
 * itself where there is none. Who only adds rows selects none.
 */
function wheresIn(node: ts.Node): readonly ts.Node[] {
  const found: ts.Node[] = [];
  const visit = (inner: ts.Node): void => {
    if (ts.isCallExpression(inner) && selecting.test(inner.expression.getText())) {
      const [asked] = inner.arguments;
      const members = asked && ts.isObjectLiteralExpression(asked) ? asked.properties : [];
      const where = members.find(({ name }) => name?.getText() === "where");
      found.push(
        where !== undefined && ts.isPropertyAssignment(where) ? where.initializer : (where?.name ?? inner),
      );
    }
    ts.forEachChild(inner, visit);
  };
  visit(node);
  return found;
}

const selecting = /\b(?:prisma|tx)\s*\.\w+\s*\.(?:find|update|upsert|delete|count|aggregate|groupBy)\w*$/;

function namesOrganization(checker: ts.TypeChecker, where: ts.Node): boolean {
  if (ts.isCallExpression(where) && selecting.test(where.expression.getText())) return false;
  const names = (type: ts.Type, depth: number): boolean =>
    type.getProperties().some((member) => {
      if (member.flags & ts.SymbolFlags.Optional) return false;
      const own = checker.getTypeOfSymbolAtLocation(member, where);
      return ["OrganizationId", "LogId"].includes(nameOf(own) ?? "") || (depth > 0 && names(own, depth - 1));
    });
  return names(checker.getTypeAtLocation(where), 1);
}

/** An organization's id, its log, or what has one of these. */
function bearsOrganization(type: ts.Type): boolean {
  if (["OrganizationId", "LogId"].includes(nameOf(type) ?? "")) return true;
  return ["organization", "log"].some((member) => type.getProperty(member) !== undefined);
}

function nameOf(type: ts.Type): string | undefined {
  return (type.aliasSymbol ?? type.getSymbol())?.name;
}

function isExported(node: ts.FunctionDeclaration): boolean {
  return node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false;
}

const planted = `
interface Database { readonly rows: number }
type OrganizationId = string & { readonly brand: "OrganizationId" };
export function good(db: Database, organization: OrganizationId): unknown { return [db, organization]; }
export function alsoGood(db: Database, thing: { readonly organization: OrganizationId }): unknown { return [db, thing]; }
export function bad(db: Database, id: string): unknown { return [db, id]; }
declare const prisma: { agent: { findMany(of: object): unknown; createMany(of: object): unknown; count(): unknown } };
type Of = { readonly organization: OrganizationId };
export function narrow(db: Database, { organization }: Of): unknown {
  const where = { a_b: { organizationId: organization, b: 1 } };
  return [db, prisma.agent.findMany({ where }), prisma.agent.createMany({ data: [] })];
}
export function wide(db: Database, of: Of): unknown { return [db, of, prisma.agent.findMany({ where: { id: 1 } })]; }
export function all(db: Database, of: Of): unknown { return [db, of, prisma.agent.count()]; }
function maybe(of: Of, b: boolean): unknown {
  return prisma.agent.findMany({ where: { ...(b && { organizationId: of.organization }) } });
}
maybe;
`;

function proof(): Promise<string[]> {
  return withPlanted({ "planted.ts": planted }, (directory) => {
    const { seen, lacking } = functionsOf([join(directory, "planted.ts")]);
    const bad = ["bad", "wide", "all", "maybe"].map((name) => `planted/${name}`);
    return seen === 6 && lacking.join() === bad.join()
      ? []
      : [`the planted functions are not found, or others are: ${seen}, ${lacking.join()}`];
  });
}
