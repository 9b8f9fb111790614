import { randomBytes } from "node:crypto";
import { type DelegationId, newId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { grantDelegation } from "../../src/journeys/delegation/grant.ts";
import { context, errorOf, mail, openWorld, startAnotherProcess, type World } from "../journeys/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());
beforeEach(() => world.main.hot.invalidateAll());

async function outcomesOf(journeys: readonly Promise<unknown>[]): Promise<readonly string[]> {
  const settled = await Promise.allSettled(journeys);
  return settled.map((one) =>
    one.status === "fulfilled" ? "issued" : (one.reason as { code: string }).code,
  );
}

describe("a foreign grantee", () => {
  test("[DEL-004] is told the same of another's delegation as of one that does not exist", async () => {
    const bob = await world.user("Bob");
    const stranger = await world.agent(bob);
    const { leaf, path, agents } = await world.chain(world.alice, 3);
    const unknown = newId("delegation", world.clock.nowMs, randomBytes(16));
    const refusals = await Promise.all([
      ...[leaf, ...path, unknown, "nonsense"].map((handle) => errorOf(world.exchange(stranger, handle))),
      // An agent of the chain is as foreign to a hop that is not its own.
      ...agents.slice(0, 2).map((agent) => errorOf(world.exchange(agent, leaf))),
      errorOf(world.passOn(stranger, leaf, stranger)),
      errorOf(world.passOn(stranger, unknown, stranger)),
    ]);
    expect(new Set(refusals.map(({ code, publicDetail }) => `${code}: ${publicDetail}`)).size).toBe(1);
    expect(refusals[0]?.code).toBe("invalid_delegation");
  });

  test("[DEL-004] has an entry for it in its own log", async () => {
    const stranger = await world.agent(await world.user("Mallory"));
    const { leaf } = await world.chain(world.alice, 1);
    await errorOf(world.exchange(stranger, leaf));
    expect((await world.entries()).at(-1)).toMatchObject({
      type: "token.refused",
      actor: { kind: "agent", id: stranger.id },
      delegation: leaf,
      refusal: { code: "invalid_delegation", reason: "presented by another than its grantee" },
    });
  });

  test("[DEL-004] neither an operator nor a resource redeems a delegation", async () => {
    const { leaf } = await world.chain(world.alice, 1);
    for (const client of [world.operator, world.mailbox]) {
      expect((await errorOf(world.exchange(client, leaf))).code).toBe("invalid_delegation");
    }
  });
});

describe("widening", () => {
  test("[DEL-002] is refused in each dimension, and leaves nothing behind", async () => {
    const { presenter, leaf } = await world.chain(world.alice, 2);
    const to = await world.agent(world.alice);
    const before = await world.db.prisma.delegation.count();
    const { expiresAt, maxDepth } = await world.db.prisma.delegation.findUniqueOrThrow({
      where: { id: leaf },
    });
    const onward = [{ agent: to.id, resource: world.mailboxAudience, scope: ["mail.read"] }];
    const attempts = {
      scope: { scope: ["mail.read", "mail.send"] },
      resource: { resource: "https://other.example" },
      expiry: { expiresAtMs: expiresAt.getTime() + 1 },
      depth: { maxDepth },
      budget: { budget: { tokens: 1 } },
      onward: { onward },
      details: { authorizationDetails: [{ type: "any" }] },
    };
    for (const [dimension, terms] of Object.entries(attempts)) {
      const { code } = await errorOf(world.passOn(presenter, leaf, to, terms));
      expect([dimension, code]).toEqual([
        dimension,
        dimension === "resource" ? "invalid_target" : "scope_widening",
      ]);
    }
    expect(await world.db.prisma.delegation.count()).toBe(before);
    expect((await world.entries()).at(-1)).toMatchObject({ type: "delegation.refused" });
  });

  test("[DEL-001] a child asked to outlive its parent is refused; one that says nothing ends with it", async () => {
    const agent = await world.agent(world.alice);
    const end = world.clock.nowMs + 60_000;
    const parent = await world.grant(world.alice, agent, { expiresAtMs: end });
    expect((await errorOf(world.passOn(agent, parent, agent, { expiresAtMs: end + 1 }))).code).toBe(
      "scope_widening",
    );
    const child = await world.passOn(agent, parent, agent);
    const row = await world.db.prisma.delegation.findUniqueOrThrow({ where: { id: child } });
    expect(row.expiresAt.getTime()).toBe(end);
  });

  test("[DEL-010] a delegation without a hop left is not passed on, and a root has none unless it says so", async () => {
    const agent = await world.agent(world.alice);
    const leaf = await world.grant(world.alice, agent, { maxDepth: undefined });
    expect((await errorOf(world.passOn(agent, leaf, agent))).code).toBe("scope_widening");
    const one = await world.grant(world.alice, agent, { maxDepth: 1 });
    const child = await world.passOn(agent, one, agent);
    expect((await errorOf(world.passOn(agent, child, agent))).code).toBe("scope_widening");
  });

  test("[DEL-010] the longest chain has 16 hops, and each of them redeems", async () => {
    const { agents, path } = await world.chain(world.alice, 16);
    for (const [hop, agent] of agents.entries()) await world.exchange(agent, path[hop] ?? "");
    const last = { agent: agents.at(-1), leaf: path.at(-1) };
    if (last.agent === undefined || last.leaf === undefined) throw new Error("no chain");
    expect((await errorOf(world.passOn(last.agent, last.leaf, last.agent))).code).toBe("scope_widening");
  });
});

describe("a spliced chain", () => {
  /** Writes a delegation past the journeys, as someone with the database in hand might. */
  async function plant(row: Record<string, unknown>): Promise<void> {
    const columns = Object.keys(row);
    const values = columns.map((_, place) => `$${place + 1}`);
    values[columns.indexOf("path")] += "::text[]";
    await world.db.prisma.$executeRawUnsafe(
      `INSERT INTO delegation (${columns.join(", ")}) VALUES (${values.join(", ")})`,
      ...Object.values(row),
    );
  }

  async function child(of: DelegationId, changes: Record<string, unknown>) {
    const parent = await world.db.prisma.delegation.findUniqueOrThrow({ where: { id: of } });
    const id = newId("delegation", world.clock.nowMs, randomBytes(16));
    const row = {
      id,
      organization_id: "default",
      root_id: parent.rootId,
      parent_id: of,
      path: [...parent.path, id],
      subject_id: parent.subjectId,
      grantor_agent_id: parent.granteeAgentId,
      grantee_agent_id: parent.granteeAgentId,
      resource_id: parent.resourceId,
      scope: ["mail.read"],
      max_depth: parent.maxDepth - 1,
      expires_at: parent.expiresAt,
      status: "active",
      created_at: new Date(world.clock.nowMs),
      ...changes,
    };
    await plant({ ...row, path: Array.isArray(changes["path"]) ? [...changes["path"], id] : row.path });
    return id;
  }

  test("[DEL-007] is no chain: not one whose parent is of another root, subject, grantor or wider scope", async () => {
    const one = await world.chain(world.alice, 2);
    const other = await world.chain(world.alice, 2);
    const { presenter, leaf } = one;
    const bob = await world.user("Bob");
    const expires = new Date(world.clock.nowMs + 7_200_000);
    await world.exchange(presenter, await child(leaf, {}));
    const spliced = [
      await child(leaf, { path: [...other.path, leaf], root_id: other.path[0] }),
      await child(leaf, { path: [one.path[0]] }),
      await child(leaf, { path: [one.path[0], other.leaf] }),
      await child(leaf, { parent_id: other.leaf }),
      await child(leaf, { grantor_agent_id: other.presenter.id }),
      await child(leaf, { subject_id: bob }),
      await child(leaf, { scope: ["mail.read", "mail.send"] }),
      await child(leaf, { expires_at: expires }),
      await child(leaf, { max_depth: 15 }),
    ];
    for (const handle of spliced) {
      expect((await errorOf(world.exchange(presenter, handle))).code).toBe("invalid_delegation");
      expect((await errorOf(world.passOn(presenter, handle, presenter))).code).toBe("invalid_delegation");
    }
  });

  test("[ORG-001] a parent in another organization makes no chain", async () => {
    const foreign = await world.makeOrganization("splice");
    const carol = await world.user("Carol", foreign);
    const agent = await world.agent(carol, foreign);
    const { leaf } = await world.chain(world.alice, 2);
    const planted = await child(leaf, { organization_id: "splice", grantee_agent_id: agent.id });
    expect((await errorOf(world.exchange(agent, planted))).code).toBe("invalid_delegation");
  });
});

describe("a chain that rests on something ended", () => {
  test.each([1, 2, 3, 4, 5])(
    "[DEL-005] revoking the ancestor at depth %i of 5 ends everything below",
    async (depth) => {
      const { agents, path } = await world.chain(world.alice, 5);
      const tried = async () =>
        outcomesOf(agents.map((agent, hop) => world.exchange(agent, path[hop] ?? "")));
      expect(await tried()).toEqual(Array(5).fill("issued"));
      const revoked = path[depth - 1];
      if (revoked === undefined) throw new Error("no such hop");
      const receipt = await world.revoke(revoked);
      expect(receipt.reach).toEqual({ delegations: 5 - depth, agents: 5 - depth });
      expect(receipt.treeSize).toBe(receipt.ledger.index + 1);
      const expected = path.map((_, hop) => (hop < depth - 1 ? "issued" : "invalid_delegation"));
      expect(await tried()).toEqual(expected);
      const below = agents
        .slice(depth - 1)
        .map((agent, i) => world.passOn(agent, path[depth - 1 + i] ?? revoked, agent));
      expect(new Set(await outcomesOf(below))).toEqual(new Set(["invalid_delegation"]));
    },
  );

  test("[DEL-005] a delegation is revoked once; the second time is told so and recorded", async () => {
    const { leaf } = await world.chain(world.alice, 1);
    const outcomes = await outcomesOf([world.revoke(leaf), world.revoke(leaf), world.revoke(leaf)]);
    expect([...outcomes].sort()).toEqual(["invalid_delegation", "invalid_delegation", "issued"]);
    expect((await errorOf(world.revoke(leaf))).code).toBe("conflict");
  });

  test("[DEL-005] an agent revokes what was made below its own delegation, and nothing else", async () => {
    const { agents, path } = await world.chain(world.alice, 3);
    const [first, second, third] = agents;
    const [root, , leaf] = path;
    if (!first || !second || !third || !root || !leaf) throw new Error("no chain");
    for (const caller of [third, world.mailbox, await world.agent(world.alice)]) {
      expect((await errorOf(world.revoke(leaf, caller))).code).toBe("not_found");
    }
    expect((await errorOf(world.revoke(root, first))).code).toBe("not_found");
    await world.revoke(leaf, second);
    expect((await errorOf(world.exchange(third, leaf))).code).toBe("invalid_delegation");
  });

  test.each([1, 2, 3])(
    "[DEL-006] with the agent at hop %i of 3 suspended nothing through it is issued",
    async (hop) => {
      const { agents, path, presenter, leaf } = await world.chain(world.alice, 3);
      const agent = agents[hop - 1];
      if (agent === undefined) throw new Error("no such hop");
      await world.exchange(presenter, leaf);
      const receipt = await world.setStatus(agent, "suspended");
      expect(receipt.reach).toEqual({ delegations: 4 - hop, agents: 3 - hop });
      expect((await errorOf(world.exchange(presenter, leaf))).code).toBe("subject_not_active");
      expect((await errorOf(world.passOn(presenter, leaf, presenter))).code).toBe("subject_not_active");
      if (hop > 1) await world.exchange(agents[0] ?? presenter, path[0] ?? leaf);
      await world.setStatus(agent, "active");
      await world.exchange(presenter, leaf);
    },
  );

  test("[DEL-006] with an owner on the path offboarded nothing through their agent is issued", async () => {
    const bob = await world.user("Bob");
    const [first, second] = [await world.agent(bob), await world.agent(world.alice)];
    const child = await world.passOn(first, await world.grant(world.alice, first), second);
    await world.exchange(second, child);
    await world.offboard(bob);
    expect((await errorOf(world.exchange(second, child))).code).toBe("subject_not_active");
  });

  test("[AGT-002] a retired agent is retired for good, and everything through it is over", async () => {
    const { agents, presenter, leaf } = await world.chain(world.alice, 2);
    const [first] = agents;
    if (first === undefined) throw new Error("no chain");
    await world.setStatus(first, "retired");
    for (const status of ["active", "suspended", "retired"] as const) {
      expect((await errorOf(world.setStatus(first, status))).code).toBe("conflict");
    }
    expect((await errorOf(world.exchange(presenter, leaf))).code).toBe("subject_not_active");
    expect((await errorOf(world.grant(world.alice, first))).code).toBe("subject_not_active");
  });
});

describe("revocation racing exchange", () => {
  test.each(["the root", "an agent on the path"])(
    "[TOK-003] no token is issued behind the revocation of %s, by either of two processes",
    async (what) => {
      const another = await startAnotherProcess(world);
      const { agents, path, presenter, leaf } = await world.chain(world.alice, 3);
      const [root, agent] = [path[0] ?? leaf, agents[1] ?? presenter];
      const exchanges: Promise<unknown>[] = [];
      const burst = () => {
        for (let i = 0; i < 40; i++) {
          exchanges.push(world.exchange(presenter, leaf), world.exchange(presenter, leaf, {}, another));
        }
      };
      await Promise.all([world.exchange(presenter, leaf), world.exchange(presenter, leaf, {}, another)]);
      burst();
      await new Promise((resolve) => setTimeout(resolve, 3));
      const revocation = what === "the root" ? world.revoke(root) : world.setStatus(agent, "retired");
      burst();
      const { ledger } = await revocation;
      burst();
      const outcomes = await outcomesOf(exchanges);
      await another.close();
      const issued = (await world.entries()).flatMap(({ type, delegation }, index) =>
        type === "token.issued" && delegation === leaf ? [index] : [],
      );
      expect(issued).toHaveLength(outcomes.filter((outcome) => outcome === "issued").length + 2);
      expect(Math.max(...issued)).toBeLessThan(ledger.index);
      expect(outcomes.slice(-80)).not.toContain("issued");
    },
  );

  test("[DEL-005] no child is made behind the revocation of its parent", async () => {
    const { presenter, leaf } = await world.chain(world.alice, 1);
    const made = Array.from({ length: 30 }, () => world.passOn(presenter, leaf, presenter));
    const revocation = world.revoke(leaf);
    made.push(...Array.from({ length: 30 }, () => world.passOn(presenter, leaf, presenter)));
    const outcomes = await outcomesOf(made);
    const { ledger, reach } = await revocation;
    const children = (await world.entries()).flatMap(({ type, path }, index) =>
      type === "delegation.created" && path?.[0] === leaf && path.length === 2 ? [index] : [],
    );
    expect(children.every((index) => index < ledger.index)).toBe(true);
    expect(children).toHaveLength(outcomes.filter((outcome) => outcome === "issued").length);
    expect(reach.delegations).toBe(children.length);
  });
});

describe("another organization", () => {
  test("[ORG-001] reads, uses and changes nothing of this one", async () => {
    const foreign = await world.makeOrganization("other");
    const carol = await world.user("Carol", foreign);
    const agent = await world.agent(carol, foreign);
    const { leaf, presenter } = await world.chain(world.alice, 1);
    const { claims } = await world.exchange(presenter, leaf);
    const entriesBefore = (await world.entries()).length;

    const terms = { toAgent: presenter.id, resource: mail, scope: ["mail.read"] };
    const granting = (fromUser: typeof carol) =>
      errorOf(grantDelegation(world.deps, { caller: foreign, fromUser, terms, context }));
    const codes = [
      await errorOf(world.exchange(agent, leaf)),
      await errorOf(world.passOn(agent, leaf, agent)),
      await errorOf(world.revoke(leaf, foreign)),
      await granting(world.alice),
      await granting(carol),
      await errorOf(world.agent(world.alice, foreign)),
      await errorOf(world.resource("https://other.example", world.alice, false, foreign)),
      await errorOf(world.issue(agent, { resource: mail })),
    ].map(({ code }) => code);
    expect(codes).toEqual([
      "invalid_delegation",
      "invalid_delegation",
      "not_found",
      "not_found",
      "not_found",
      "not_found",
      "not_found",
      "invalid_target",
    ]);
    expect(await world.introspectClaims(foreign, claims)).toBeUndefined();
    expect(await world.introspectClaims(agent, claims)).toBeUndefined();
    // What a stranger tries is told in the stranger's own log.
    expect(await world.entries()).toHaveLength(entriesBefore);
    await world.exchange(presenter, leaf);
  });

  test("[ORG-001] an agent of this organization is not found in another under the same id", async () => {
    const { leaf, presenter } = await world.chain(world.alice, 1);
    const foreign = await world.makeOrganization("mirror");
    const mirrored = { ...presenter, organization: foreign.organization };
    expect((await errorOf(world.exchange(mirrored, leaf))).code).toBe("invalid_delegation");
    expect((await errorOf(world.issue(mirrored))).code).toBe("unauthenticated");
  });
});
