import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { rolesOf } from "../domain/agent.ts";
import { type Client, type ClientAuthMethod, strictProfile } from "../domain/client.ts";
import { findAgent } from "./agents.ts";
import { listActiveCredentials } from "./credentials.ts";
import type { Database } from "./database.ts";
import { findOperator } from "./operators.ts";
import { findResource } from "./resources.ts";
import { storedAs } from "./stored-as.ts";
import { findUser } from "./users.ts";

/** The client that a principal is, whatever its status, or undefined when there is no such principal. */
export async function findClient(db: Database, principal: Principal): Promise<Client | undefined> {
  const [party, credentials, set] = await Promise.all([
    findParty(db, principal),
    listActiveCredentials(db, principal.organization, principal.id),
    findSetProfile(db, principal),
  ]);
  return party && { principal, ...party, credentials, ...set };
}

/** What an operator last set for a principal, or what holds where none did. */
async function findSetProfile(
  db: Database,
  principal: Principal,
): Promise<Pick<Client, "profile" | "profileIndex">> {
  const { id: principalId, organization: organizationId } = principal;
  // Operators have none, and they are who gets in first.
  if (principal.kind === "operator") return { profile: strictProfile };
  const row = await db.prisma.clientProfile.findFirst({
    where: { principalId, organizationId },
    orderBy: { index: "desc" },
  });
  if (row === null) return { profile: strictProfile };
  const { redirectUris, authMethod, dpopNonceRequired, compat, secretVerifier } = row;
  const profile = {
    redirectUris,
    authMethod: storedAs<ClientAuthMethod>(authMethod),
    dpopNonceRequired,
    compat,
    secretVerifier: secretVerifier ?? undefined,
  };
  return { profile, profileIndex: Number(row.index) };
}

type Party = Omit<Client, "principal" | "credentials" | "profile" | "profileIndex">;

async function findParty(db: Database, principal: Principal): Promise<Party | undefined> {
  const { organization } = principal;
  switch (principal.kind) {
    case "agent": {
      const agent = await findAgent(db, organization, principal.id);
      if (agent === undefined) return undefined;
      const { kind, status, expiresAtMs, tenure } = agent;
      const owner = { id: agent.owner, status: agent.ownerStatus };
      return { kind, status, expiresAtMs, tenure, owner, roles: rolesOf(kind) };
    }
    case "resource": {
      const resource = await findResource(db, organization, principal.id);
      if (resource === undefined) return undefined;
      const owner = resource.owner && (await findUser(db, organization, resource.owner));
      return { status: resource.status, owner: owner || undefined, roles: ["resource"] };
    }
    case "operator": {
      const operator = await findOperator(db, organization, principal.id);
      return operator && { status: operator.status, owner: undefined, roles: ["operator"] };
    }
    // A machine is nobody's client: what it may is to serve the agents that run on it.
    case "node":
      return undefined;
  }
}
