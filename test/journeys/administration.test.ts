import { generateKeyPairSync, randomBytes } from "node:crypto";
import { newId, systemLog } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAgent } from "../../src/journeys/agent/create.ts";
import { setAgentStatus } from "../../src/journeys/agent/set-status.ts";
import { stopAgent } from "../../src/journeys/agent/stop.ts";
import { countFailure } from "../../src/journeys/authentication/count-failure.ts";
import { refuseRequest } from "../../src/journeys/authentication/refuse-request.ts";
import { grantDelegation } from "../../src/journeys/delegation/grant.ts";
import { narrowDelegation } from "../../src/journeys/delegation/narrow.ts";
import { createOperator } from "../../src/journeys/operator/create.ts";
import { createResource } from "../../src/journeys/resource/create.ts";
import { revokeTokenById } from "../../src/journeys/token/revoke.ts";
import { createUser } from "../../src/journeys/user/create.ts";
import { findAgent } from "../../src/store/agents.ts";
import { findDelegationChain } from "../../src/store/delegations.ts";
import { findOperator } from "../../src/store/operators.ts";
import { findResource } from "../../src/store/resources.ts";
import { findUser } from "../../src/store/users.ts";
import { context, mail } from "./server-process.ts";
import { type AgentPrincipal, errorOf, openWorld, publicJwk, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

function agentWith(jwk: Record<string, unknown>) {
  const { operator: caller, alice: owner } = world;
  return createAgent(world.deps, { caller, owner, name: "agent", kind: "tool", publicJwk: jwk, context });
}

describe("keys", () => {
  test("[AGT-001] EC on P-256 is taken in, and only what makes the key is kept", async () => {
    const { id } = await agentWith({ ...publicJwk(), kid: "mine", x5u: "https://evil.example" });
    const row = await world.db.prisma.credential.findFirstOrThrow({ where: { principalId: id } });
    expect(Object.keys(JSON.parse(row.publicJwk)).sort()).toEqual(["alg", "crv", "kty", "use", "x", "y"]);
  });

  test("[AGT-001] a private key is refused and neither kept nor recorded", async () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const jwk = { ...privateKey.export({ format: "jwk" }) };
    expect((await errorOf(agentWith(jwk))).code).toBe("invalid_request");
    const kept = JSON.stringify([await world.entries(), await world.db.prisma.credential.findMany()]);
    expect(kept).not.toContain(jwk["d"]);
    expect(kept).not.toContain(jwk["x"]);
  });

  test("[AGT-001] weak, foreign, malformed and symmetric keys are refused", async () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({ format: "jwk" });
    const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey.export({ format: "jwk" });
    const ed25519 = generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" });
    const good = publicJwk();
    const unfit = [
      rsa,
      p384,
      ed25519,
      {},
      { kty: "oct", k: "c2VjcmV0" },
      { ...good, x: good["y"] },
      { ...good, y: undefined },
      { ...good, crv: "P-521" },
      { ...good, x: `${good["x"]}A` },
      { ...good, alg: "none" },
      { ...good, alg: "EdDSA" },
      { ...good, use: "enc" },
      { ...good, d: "" },
      { kty: "EC", crv: "P-256", x: "A".repeat(43), y: "A".repeat(43) },
    ];
    for (const jwk of unfit) expect((await errorOf(agentWith({ ...jwk }))).code).toBe("invalid_request");
  });

  test("[AGT-001] one key speaks for one principal, of whatever kind, also when two claim it at once", async () => {
    const jwk = publicJwk();
    const settled = await Promise.allSettled([agentWith(jwk), agentWith(jwk), agentWith(jwk)]);
    expect(settled.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const { operator: caller } = world;
    const again = await errorOf(createOperator(world.deps, { caller, name: "eve", publicJwk: jwk, context }));
    expect(again.code).toBe("conflict");
    expect((await world.entries()).at(-1)).toMatchObject({
      type: "mutation.refused",
      refusal: { code: "conflict" },
    });
    expect(await world.db.prisma.operator.count()).toBe(1);
  });
});

describe("users, resources and operators", () => {
  test("[LED-001] [LED-006] each creation has its entry, with ids and never a name or an address", async () => {
    const { operator: caller } = world;
    const made = await createUser(world.deps, {
      caller,
      name: "Zoë Example",
      email: "zoe@example.org",
      context,
    });
    const operator = await createOperator(world.deps, {
      caller,
      name: "Olga",
      publicJwk: publicJwk(),
      context,
    });
    const entries = await world.entries();
    expect(entries[made.ledger.index]).toMatchObject({
      type: "user.created",
      target: { kind: "user", id: made.id },
      actor: { id: caller.id },
    });
    expect(entries[operator.ledger.index]).toMatchObject({
      type: "operator.created",
      target: { kind: "operator", id: operator.id },
    });
    expect(JSON.stringify(entries)).not.toMatch(/Zoë|zoe@|"Olga"/);
  });

  test("[MOD-002] an origin is registered once, with or without its slash", async () => {
    await world.resource("https://one.example/", world.alice);
    expect((await errorOf(world.resource("https://one.example", world.alice))).code).toBe("conflict");
    expect((await errorOf(world.resource(mail, world.alice))).code).toBe("conflict");
    await world.resource("https://one.example/path", world.alice);
  });

  test("an audience or scope that is not canonical is refused", async () => {
    const request = {
      caller: world.operator,
      audience: "https://two.example",
      scope: ["a"],
      open: false,
      context,
    };
    for (const change of [{ audience: "https://TWO.example" }, { scope: [] }, { scope: ["a b"] }]) {
      expect((await errorOf(createResource(world.deps, { ...request, ...change }))).code).toBe(
        "invalid_request",
      );
    }
  });

  test("a retired operator changes nothing", async () => {
    const { operator: caller } = world;
    const { id } = await createOperator(world.deps, { caller, name: "old", publicJwk: publicJwk(), context });
    await world.db.prisma.operator.update({ where: { id }, data: { status: "retired" } });
    const retired = { ...caller, id };
    expect((await errorOf(world.user("x", retired))).code).toBe("subject_not_active");
    expect((await world.entries()).at(-1)).toMatchObject({ type: "mutation.refused", actor: { id } });
  });
});

describe("every change through the API", () => {
  /** Each of them, at the wish of a caller. */
  function changes(caller: Principal, agent: AgentPrincipal) {
    const { deps, alice: owner } = world;
    const by = { caller, context: { requestId: "req-2", txn: "txn_2" } };
    const key = publicJwk();
    const terms = { toAgent: agent.id, resource: mail, scope: ["mail.read"] };
    const audience = `https://${agent.id.replace("_", "-")}.example`;
    const token = newId("token", world.clock.nowMs, randomBytes(16));
    const resource = { audience, scope: ["a"], open: true };
    return {
      user: () => createUser(deps, { ...by, name: "Carol" }),
      agent: () => createAgent(deps, { ...by, owner, name: "a", kind: "tool", publicJwk: key }),
      resource: () => createResource(deps, { ...by, ...resource, owner, publicJwk: publicJwk() }),
      operator: () => createOperator(deps, { ...by, name: "Olga", publicJwk: publicJwk() }),
      grant: () => grantDelegation(deps, { ...by, fromUser: owner, terms }),
      token: () => revokeTokenById(deps, { ...by, token }),
      status: () => setAgentStatus(deps, { ...by, agent: agent.id, status: "suspended" }),
      retirement: () => stopAgent(deps, { ...by, agent: agent.id, status: "retired" }),
    };
  }

  test("[LED-001] is refused to whoever is no operator, and the refusal recorded", async () => {
    const caller = await world.agent(world.alice);
    const before = (await world.entries()).length;
    const all = Object.values(changes(caller, caller));
    for (const change of all) expect((await errorOf(change())).code).toBe("not_authorized");
    const refused = (await world.entries()).slice(before);
    expect(refused).toHaveLength(all.length);
    for (const entry of refused) {
      expect(entry).toMatchObject({ agent: caller.id, refusal: { code: "not_authorized" } });
    }
    expect(new Set(refused.map(({ type }) => type))).toEqual(
      new Set(["mutation.refused", "delegation.refused"]),
    );
  });

  test("[LED-001] names the transaction that its caller's token belongs to", async () => {
    const before = (await world.entries()).length;
    const all = changes(world.operator, await world.agent(world.alice));
    for (const change of Object.values(all)) await change();
    const entries = (await world.entries()).slice(before + 1);
    expect(entries).toHaveLength(Object.keys(all).length);
    for (const entry of entries) expect(entry).toMatchObject({ txn: "txn_2", request: "req-2" });
  });

  test("leaves a row for each end of authority at the place of its entry, and none for a beginning", async () => {
    const { deps, db, operator: caller } = world;
    const agent = await world.agent(world.alice);
    const granted = await world.grant(world.alice, agent);
    const before = (await db.prisma.revocation.findMany()).length;
    const token = newId("token", world.clock.nowMs, randomBytes(16));
    const revokedToken = await revokeTokenById(deps, { caller, token, context });
    const revokedGrant = await world.revoke(granted);
    const suspended = await setAgentStatus(deps, { caller, agent: agent.id, status: "suspended", context });
    await setAgentStatus(deps, { caller, agent: agent.id, status: "active", context });
    const retired = await stopAgent(deps, { caller, agent: agent.id, status: "retired", context });
    const rows = (await db.prisma.revocation.findMany({ orderBy: { index: "asc" } })).slice(before);
    expect(rows.map(({ index, kind, nodeId }) => [Number(index), kind, nodeId])).toEqual([
      [revokedToken.ledger.index, "token", token],
      [revokedGrant.ledger.index, "delegation", granted],
      [suspended.ledger.index, "agent", agent.id],
      [retired.ledger.index, "agent", agent.id],
    ]);
  });

  test("answers with what it wrote, exactly as the store reads it", async () => {
    const { deps, db } = world;
    const { organization } = world.operator;
    const agent = await world.agent(world.alice);
    const parent = await world.grant(world.alice, agent, { maxDepth: 3 });
    const terms = { toAgent: agent.id, resource: mail, scope: ["mail.read"] };
    const { user, resource, operator, grant, status } = changes(world.operator, agent);
    const madeBy = async <Made extends { ledger: unknown }>(change: Promise<Made>) => {
      const { ledger: _, ...made } = await change;
      return made;
    };
    const made = {
      user: await madeBy(user()),
      resource: await madeBy(resource()),
      operator: await madeBy(operator()),
      root: await madeBy(grant()),
      child: await madeBy(narrowDelegation(deps, { caller: agent, parent, terms, context })),
    };
    expect({
      user: await findUser(db, organization, made.user.id),
      resource: await findResource(db, organization, made.resource.id),
      operator: await findOperator(db, organization, made.operator.id),
      root: await findDelegationChain(db, organization, made.root.leaf.delegation.id),
      child: await findDelegationChain(db, organization, made.child.leaf.delegation.id),
    }).toEqual(made);
    const suspended = await madeBy(status());
    expect({ ...(await findAgent(db, organization, agent.id)), changedAtMs: world.clock.nowMs }).toEqual(
      suspended,
    );
  });
});

describe("at the door", () => {
  test("[LED-003] a scope that a token lacks is recorded in its caller's log, repeats as one counted entry", async () => {
    const caller = await world.agent(world.alice);
    const asked = {
      caller,
      code: "insufficient_scope" as const,
      publicDetail: "this needs another",
      context: { requestId: "req-3", txn: "txn_3" },
    };
    await world.main.refusals.flush("all");
    const before = (await world.entries()).length;
    for (const endpoint of ["GET /v1/users", "GET /v1/users", "GET /v1/agents", "GET /v1/users"]) {
      expect((await refuseRequest(world.deps, { ...asked, endpoint })).code).toBe("insufficient_scope");
    }
    await world.main.refusals.flush("all");
    expect((await world.entries()).slice(before)).toMatchObject([
      { type: "request.refused", agent: caller.id, action: "GET /v1/users", txn: "txn_3" },
      { type: "request.refused", refusal: { code: "insufficient_scope" }, action: "GET /v1/agents" },
      { type: "request.refused", action: "GET /v1/users", count: 2 },
    ]);
  });

  test("[LED-003] failed authentications become one counted entry of a kind in the system log", async () => {
    const { refusals } = world.main;
    const before = (await world.entries(systemLog)).length;
    const fail = (reason: string, endpoint: string) =>
      countFailure({ countRefusal: refusals.count }, { reason, endpoint });
    for (let time = 0; time < 50; time++) fail("proof_missing", "/v1");
    fail("invalid_client", "/token");
    await refusals.flush("due");
    expect(await world.entries(systemLog)).toHaveLength(before);
    world.clock.nowMs += 60_000;
    await refusals.flush("due");
    world.clock.nowMs -= 60_000;
    expect((await world.entries(systemLog)).slice(before)).toMatchObject([
      { type: "authentication.failed", count: 50, detail: { reason: "proof_missing", endpoint: "/v1" } },
      { type: "authentication.failed", detail: { reason: "invalid_client", endpoint: "/token" } },
    ]);
  });
});

describe("root grants", () => {
  test("[DEL-008] an operator's grant for a User says who asserted it", async () => {
    const agent = await world.agent(world.alice);
    const delegation = await world.grant(world.alice, agent);
    const entry = (await world.entries()).at(-1);
    expect(entry).toMatchObject({
      type: "delegation.created",
      actor: { kind: "operator", id: world.operator.id },
      asserted_by: world.operator.id,
      subject: world.alice,
      target: { kind: "agent", id: agent.id },
      owner: world.alice,
      delegation,
      path: [delegation],
      decision: { effect: "allow", rule: "user-grants-owned" },
    });
    expect(entry).not.toHaveProperty("agent");
    const row = await world.db.prisma.delegation.findUniqueOrThrow({ where: { id: delegation } });
    expect(row).toMatchObject({ assertedBy: world.operator.id, parentId: null, grantorAgentId: null });
  });

  test("[DEL-008] a child is made by its grantor agent and asserted by nobody", async () => {
    const { leaf, path, agents } = await world.chain(world.alice, 2);
    const row = await world.db.prisma.delegation.findUniqueOrThrow({ where: { id: leaf } });
    expect(row).toMatchObject({ assertedBy: null, parentId: path[0], grantorAgentId: agents[0]?.id, path });
    const entry = (await world.entries()).at(-1);
    expect(entry).toMatchObject({
      type: "delegation.created",
      agent: agents[0]?.id,
      target: { kind: "agent", id: agents[1]?.id },
    });
    expect(entry).not.toHaveProperty("asserted_by");
  });

  test("[DEL-009] a User grants on what they own and on what is open, and on nothing else", async () => {
    const bob = await world.user("Bob");
    const agent = await world.agent(bob);
    await world.resource("https://open.example", world.alice, true);
    await world.resource("https://ownerless.example", undefined);
    await world.grant(bob, agent, { resource: "https://open.example" });
    for (const resource of [mail, "https://ownerless.example"]) {
      const { code, publicDetail } = await errorOf(world.grant(bob, agent, { resource }));
      expect(code).toBe("not_authorized");
      expect(publicDetail).toMatch(
        new RegExp(`: ${bob} does not own ${resource}/?, and it is not open to all$`),
      );
    }
    const api = { resource: "https://id.example/v1", scope: ["admin"] };
    expect((await errorOf(world.grant(world.alice, agent, api))).code).toBe("not_authorized");
    expect((await world.entries()).at(-1)).toMatchObject({
      type: "delegation.refused",
      decision: { effect: "deny", rule: "default-deny" },
    });
  });

  test("[DEL-002] a root grant is no wider than its Resource", async () => {
    const agent = await world.agent(world.alice);
    const year = 366 * 24 * 3_600_000;
    for (const terms of [{ maxDepth: 16 }, { expiresAtMs: world.clock.nowMs + year + 1 }]) {
      expect((await errorOf(world.grant(world.alice, agent, terms))).code).toBe("scope_widening");
    }
    const foreign = await errorOf(world.grant(world.alice, agent, { scope: ["mail.read", "mail.delete"] }));
    expect([foreign.code, foreign.publicDetail]).toEqual([
      "invalid_scope",
      `${world.mailboxAudience} has no scope mail.delete`,
    ]);
  });
});
