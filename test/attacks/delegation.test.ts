import { randomBytes } from "node:crypto";
import { type DelegationId, newId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { grantDelegation } from "../../src/journeys/delegation/grant.ts";
import { context, mail } from "../journeys/server-process.ts";
import { errorOf, openWorld, type World } from "../journeys/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());
beforeEach(() => world.main.hot.invalidateAll());

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
      budget: { budget: { gold: 1 } },
      onward: { onward },
      details: { authorizationDetails: [{ type: "any" }] },
    };
    for (const [dimension, terms] of Object.entries(attempts)) {
      const { code } = await errorOf(world.passOn(presenter, leaf, to, terms));
      expect([dimension, code]).toEqual([
        dimension,
        { resource: "invalid_target", details: "invalid_authorization_details" }[dimension] ??
          "scope_widening",
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
