import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type AccessTokenClaims,
  accessTokenType,
  delegationTokenType,
} from "@countersign/sdk/contract/access-token";
import { parseAudience } from "@countersign/sdk/model/audience";
import {
  type DelegationId,
  type LogId,
  logOf,
  newId,
  parseOrganizationId,
  systemLog,
  type UserId,
} from "@countersign/sdk/model/ids";
import { type Principal, principalOf, spiffeIdOf } from "@countersign/sdk/model/spiffe-id";
import type { AgentStatus } from "../../src/domain/agent.ts";
import { DomainError } from "../../src/domain/domain-error.ts";
import { createAgent } from "../../src/journeys/agent/create.ts";
import { setAgentStatus } from "../../src/journeys/agent/set-status.ts";
import { transferAgent } from "../../src/journeys/agent/transfer.ts";
import { consentToDelegation } from "../../src/journeys/delegation/consent.ts";
import { grantDelegation } from "../../src/journeys/delegation/grant.ts";
import { narrowDelegation } from "../../src/journeys/delegation/narrow.ts";
import type { DelegationTerms } from "../../src/journeys/delegation/new-delegation.ts";
import { revokeDelegation } from "../../src/journeys/delegation/revoke.ts";
import { install } from "../../src/journeys/installation/install.ts";
import { readOrCreateOperatorKey } from "../../src/journeys/installation/operator-key-file.ts";
import { createResource } from "../../src/journeys/resource/create.ts";
import { type ExchangeRequest, exchangeToken } from "../../src/journeys/token/exchange.ts";
import { introspectToken } from "../../src/journeys/token/introspect.ts";
import { issueToken } from "../../src/journeys/token/issue.ts";
import { createUser } from "../../src/journeys/user/create.ts";
import { offboardUser } from "../../src/journeys/user/offboard.ts";
import { connectPatiently, openTestDatabase, type TestDatabase } from "../harness.ts";
import { checkLedger, readEntries } from "./read-log.ts";
import {
  context,
  issuer,
  mail,
  must,
  organization,
  type ServerProcess,
  sign,
  startProcess,
  trustDomain,
} from "./server-process.ts";

/** A public key that nobody has used before. */
export function publicJwk(): Record<string, unknown> {
  return { ...generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" }) };
}

/** An installation with an operator, Alice and a mailbox that she owns. */
export async function openWorld() {
  const database: TestDatabase = await openTestDatabase();
  const { db } = database;
  const dataDir = mkdtempSync(join(tmpdir(), "countersign-world-"));
  const clock = { nowMs: 1_800_000_000_000 };
  const main = await startProcess(db, clock);
  const { deps, hotDeps } = main;
  await install(deps, { issuer, trustDomain, dataDir });
  const operator = principalOf(trustDomain, (await readOrCreateOperatorKey(dataDir, "")).clientId);
  if (operator?.kind !== "operator") throw new Error("the installation has no operator");

  const user = async (name: string, caller: Principal = operator) =>
    (await createUser(deps, { caller, name, context })).id;
  const agent = async (
    owner: UserId,
    caller: Principal = operator,
    expiresAtMs?: number,
  ): Promise<AgentPrincipal> => {
    const request = {
      caller,
      owner,
      name: "agent",
      kind: "worker",
      expiresAtMs,
      publicJwk: publicJwk(),
      context,
    } as const;
    return { kind: "agent", organization: caller.organization, id: (await createAgent(deps, request)).id };
  };
  const resource = async (
    audience: string,
    owner: UserId | undefined,
    open = false,
    caller: Principal = operator,
  ) => {
    const request = {
      caller,
      audience,
      scope: ["mail.read", "mail.send"],
      owner,
      open,
      publicJwk: publicJwk(),
      context,
    };
    const { id } = await createResource(deps, request);
    return { kind: "resource", organization: caller.organization, id } as const;
  };
  const grant = async (fromUser: UserId, to: AgentPrincipal, terms: Partial<DelegationTerms> = {}) => {
    const full = {
      toAgent: to.id,
      resource: mail,
      scope: ["mail.read", "mail.send"],
      maxDepth: 15,
      ...terms,
    };
    return (await grantDelegation(deps, { caller: operator, fromUser, terms: full, context })).leaf.delegation
      .id;
  };
  const passOn = async (
    from: AgentPrincipal,
    parent: DelegationId,
    to: AgentPrincipal,
    terms: Partial<DelegationTerms> = {},
  ) => {
    const full = { toAgent: to.id, resource: mail, scope: ["mail.read"], ...terms };
    return (await narrowDelegation(deps, { caller: from, parent, terms: full, context })).leaf.delegation.id;
  };
  /** Agents a delegation was handed down through, and the delegation of each. */
  const chain = async (fromUser: UserId, hops: number) => {
    const agents: AgentPrincipal[] = [];
    const path: DelegationId[] = [];
    for (let hop = 0; hop < hops; hop++) {
      const to = await agent(fromUser);
      const [from, parent] = [agents.at(-1), path.at(-1)];
      path.push(from && parent ? await passOn(from, parent, to) : await grant(fromUser, to));
      agents.push(to);
    }
    return { agents, path, leaf: must(path.at(-1)), presenter: must(agents.at(-1)) };
  };
  const exchange = (
    client: Principal,
    subjectToken: string,
    more: Partial<ExchangeRequest> = {},
    process = main,
  ) =>
    exchangeToken(process.hotDeps, {
      client,
      subjectToken,
      subjectTokenType: delegationTokenType,
      context,
      ...more,
    });
  /** Redeems an access token that was issued to somebody else. */
  const redeem = async (
    client: Principal,
    claims: AccessTokenClaims,
    more: Partial<ExchangeRequest> = {},
    process = main,
  ) => exchange(client, await sign(claims), { subjectTokenType: accessTokenType, ...more }, process);
  const issue = (client: Principal, more: { resource?: string; scope?: string[] } = {}) =>
    issueToken(hotDeps, { client, context, ...more });
  const introspectClaims = async (caller: Principal, claims: AccessTokenClaims) =>
    introspectToken(deps, { caller, token: await sign(claims) });
  const offboard = (of: UserId, caller: Principal = operator) =>
    offboardUser(deps, { caller, user: of, context });
  const transfer = (of: AgentPrincipal, owner: UserId, caller: Principal = operator, process = { deps }) =>
    transferAgent(process.deps, { caller, agent: of.id, owner, context });
  const consent = (delegation: DelegationId, caller: Principal = operator) =>
    consentToDelegation(deps, { caller, delegation, context });
  const introspect = (caller: Principal, token: string) => introspectToken(deps, { caller, token });
  const revoke = (delegation: DelegationId, caller: Principal = operator) =>
    revokeDelegation(deps, { caller, delegation, context });
  const setStatus = (of: AgentPrincipal, status: AgentStatus) =>
    setAgentStatus(deps, { caller: operator, agent: of.id, status, context });

  const alice = await user("Alice");
  const mailbox = await resource(mail, alice);
  return {
    database,
    db,
    dataDir,
    clock,
    main,
    deps,
    hotDeps,
    operator,
    alice,
    mailbox,
    user,
    agent,
    resource,
    grant,
    passOn,
    chain,
    exchange,
    redeem,
    issue,
    introspect,
    introspectClaims,
    offboard,
    transfer,
    consent,
    mailboxAudience: must(parseAudience(mail)),
    revoke,
    setStatus,
    makeOrganization: (name: string) => makeOrganization(main, name),
    entries: (log: LogId = logOf(organization)) => readEntries(db, log),
    close: async () => {
      await checkLedger(db);
      await main.sequencer.close();
      await database.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
export type World = Awaited<ReturnType<typeof openWorld>>;
export type AgentPrincipal = Extract<Principal, { kind: "agent" }>;

/** A second process on the same database, with caches and a sequencer of its own. */
export async function startAnotherProcess(world: World) {
  const db = connectPatiently(world.database.target);
  const process = await startProcess(db, world.clock);
  const close = async () => {
    await process.sequencer.close();
    await db.close();
  };
  return { ...process, close };
}

/** Another tenant, with an operator of its own. */
async function makeOrganization(
  { deps }: ServerProcess,
  name: string,
): Promise<Extract<Principal, { kind: "operator" }>> {
  const id = must(parseOrganizationId(name));
  const at = new Date(deps.now());
  const actor = { kind: "system", id: "test" } as const;
  const operator = {
    kind: "operator",
    organization: id,
    id: newId("operator", deps.now(), randomBytes(16)),
  } as const;
  await deps.append(systemLog, {
    entry: { type: "organization.created", actor, organization: id },
    writes: [
      { into: "organization", row: { id, name, created_at: at } },
      {
        into: "log",
        row: {
          id: logOf(id),
          organization_id: id,
          origin: `id.example/log/${name}`,
          public: false,
          created_at: at,
        },
      },
      {
        into: "operator",
        row: { id: operator.id, organization_id: id, name: "test", status: "active", created_at: at },
      },
    ],
  });
  return operator;
}

/** The DomainError that a journey ends with. */
export async function errorOf(journey: Promise<unknown>): Promise<DomainError> {
  const outcome = await journey.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (outcome instanceof DomainError) return outcome;
  throw new Error(`no DomainError but ${outcome === undefined ? "success" : String(outcome)}`, {
    cause: outcome,
  });
}

/**
 * How a journey ends: `done`, or the code of its error. To be asked for when the journey begins: an error that comes
 * while the test waits for something else, and that nobody has asked for by then, fails the run.
 */
export function outcomeOf(journey: Promise<unknown>): Promise<string> {
  return journey.then(
    () => "done",
    (error: { readonly code: string }) => error.code,
  );
}

/** The SPIFFE ID that a principal of the world has. */
export function nameOf(principal: Principal): string {
  return spiffeIdOf(trustDomain, principal);
}
