import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAgent } from "../../src/journeys/agent/create.ts";
import { createOperator } from "../../src/journeys/operator/create.ts";
import { createResource } from "../../src/journeys/resource/create.ts";
import { createUser } from "../../src/journeys/user/create.ts";
import { context, mail } from "./server-process.ts";
import { errorOf, openWorld, publicJwk, type World } from "./world.ts";

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
  test("[AGT-001] EC on P-256 and Ed25519 are taken in, and only what makes the key is kept", async () => {
    const ed25519 = generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" });
    for (const jwk of [{ ...publicJwk(), kid: "mine", x5u: "https://evil.example" }, { ...ed25519 }]) {
      const { id } = await agentWith(jwk);
      const row = await world.db.prisma.credential.findFirstOrThrow({ where: { principalId: id } });
      expect(Object.keys(JSON.parse(row.publicJwk)).sort()).toEqual(
        "y" in jwk ? ["alg", "crv", "kty", "use", "x", "y"] : ["alg", "crv", "kty", "use", "x"],
      );
    }
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
    const x25519 = generateKeyPairSync("x25519").publicKey.export({ format: "jwk" });
    const good = publicJwk();
    const unfit = [
      rsa,
      p384,
      x25519,
      {},
      { kty: "oct", k: "c2VjcmV0" },
      { ...good, x: good["y"] },
      { ...good, y: undefined },
      { ...good, crv: "P-521" },
      { ...good, x: `${good["x"]}A` },
      { ...good, alg: "none" },
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
  test("[LED-001] each creation has its entry, with ids and never a name or an address", async () => {
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
      subject: made.id,
      actor: { id: caller.id },
    });
    expect(entries[operator.ledger.index]).toMatchObject({
      type: "operator.created",
      detail: { id: operator.id },
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
      agent: agent.id,
      delegation,
      path: [delegation],
      decision: { effect: "allow", rule: "user-grants-owned" },
    });
    const row = await world.db.prisma.delegation.findUniqueOrThrow({ where: { id: delegation } });
    expect(row).toMatchObject({ assertedBy: world.operator.id, parentId: null, grantorAgentId: null });
  });

  test("[DEL-008] a child is made by its grantor agent and asserted by nobody", async () => {
    const { leaf, path, agents } = await world.chain(world.alice, 2);
    const row = await world.db.prisma.delegation.findUniqueOrThrow({ where: { id: leaf } });
    expect(row).toMatchObject({ assertedBy: null, parentId: path[0], grantorAgentId: agents[0]?.id, path });
  });

  test("[DEL-009] a User grants on what they own and on what is open, and on nothing else", async () => {
    const bob = await world.user("Bob");
    const agent = await world.agent(bob);
    await world.resource("https://open.example", world.alice, true);
    await world.resource("https://ownerless.example", undefined);
    await world.grant(bob, agent, { resource: "https://open.example" });
    for (const resource of [mail, "https://ownerless.example"]) {
      expect((await errorOf(world.grant(bob, agent, { resource }))).code).toBe("not_authorized");
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
    for (const terms of [
      { scope: ["mail.delete"] },
      { maxDepth: 16 },
      { expiresAtMs: world.clock.nowMs + year + 1 },
    ]) {
      expect((await errorOf(world.grant(world.alice, agent, terms))).code).toBe("scope_widening");
    }
  });
});
