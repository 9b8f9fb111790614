import { randomBytes } from "node:crypto";
import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import { parseAudience } from "@countersign/sdk/model/audience";
import { type DelegationId, logOf, newId, type TransactionId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { transactionUse } from "../../src/journeys/record/session.ts";
import { forgetOldTransactions } from "../../src/store/transaction-sessions.ts";
import { mail, must, organization, sign } from "./server-process.ts";
import { type AgentPrincipal, errorOf, openWorld, startAnotherProcess, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());
beforeEach(() => world.main.hot.invalidateAll());

const codeOf = (attempt: Promise<unknown>) => errorOf(attempt).then(({ code }) => code);

/** Redeems a delegation in the transaction of a token that the agent has. */
const join = async (
  agent: AgentPrincipal,
  delegation: DelegationId,
  claims: AccessTokenClaims,
  process = world.main,
) => world.exchange(agent, delegation, { actorToken: await sign(claims) }, process);

/** An agent with a token of its own, and delegations of these sessions. */
async function agentWith(...sessions: (string | undefined)[]) {
  const agent = await world.agent(world.alice);
  const own = (await world.issue(agent)).claims;
  const delegations: DelegationId[] = [];
  for (const session of sessions) delegations.push(await world.grant(world.alice, agent, { session }));
  return { agent, own, delegations };
}

describe("a session", () => {
  test("[SES-001] binds the transaction in which its delegation is used first, for good", async () => {
    const { agent, own, delegations } = await agentWith("s1", "s2", undefined);
    const [first, second, free] = delegations.map((id) => () => join(agent, id, own));
    expect((await must(free)()).claims.txn).toBe(own.txn);
    expect((await must(first)()).claims.txn).toBe(own.txn);
    const kept = await world.main.hot.delegationChain(organization, must(delegations[1]));
    expect(await codeOf(must(second)())).toBe("session_mismatch");
    // That its transaction is another's says nothing of the delegation.
    expect(await world.main.hot.delegationChain(organization, must(delegations[1]))).toBe(kept);
    expect((await world.entries()).at(-1)).toMatchObject({
      type: "token.refused",
      txn: own.txn,
      delegation: delegations[1],
      refusal: { code: "session_mismatch" },
    });
    await must(first)();
    await must(free)();
    // In a transaction of its own it is used as ever.
    expect((await world.exchange(agent, must(delegations[1]))).claims.txn).not.toBe(own.txn);
  });

  test("[SES-001] is not left by way of another token of the transaction", async () => {
    const { agent, delegations } = await agentWith("s1", "s2");
    const [one, two] = delegations;
    const { claims } = await world.exchange(agent, must(one));
    const { claims: next } = await join(agent, must(one), claims);
    expect(next.txn).toBe(claims.txn);
    expect(await codeOf(join(agent, must(two), next))).toBe("session_mismatch");
  });

  test("[SES-001] wins a transaction alone when two race, in one process and in two", async () => {
    const other = await startAnotherProcess(world);
    for (const processes of [[world.main], [world.main, other]]) {
      const { agent, own, delegations } = await agentWith("s1", "s2");
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, (_, i) =>
          join(agent, must(delegations[i % 2]), own, must(processes[i % processes.length])),
        ),
      );
      const won = results.map(({ status }) => status === "fulfilled");
      expect(won.filter(Boolean)).toHaveLength(10);
      const bySession = [0, 1].map((which) => won.filter((_, i) => i % 2 === which));
      expect(bySession.map((some) => new Set(some).size)).toEqual([1, 1]);
      const rows = await world.db.prisma.transactionSession.findMany({ where: { txn: own.txn } });
      expect(rows.map(({ session }) => session)).toEqual([bySession[0]?.[0] ? "s1" : "s2"]);
    }
    await other.close();
  });

  test("[SES-001] wins alone against another in the same batch", async () => {
    const { delegations } = await agentWith("s1", "s2");
    const [one, two] = await Promise.all(
      delegations.map((id) => world.deps.findDelegationChain(organization, id)),
    );
    const use = (chain: typeof one, txn: TransactionId) => {
      const entry = { type: "token.issued", actor: { kind: "system", id: "test" } } as const;
      const request = { entry, ...transactionUse(must(chain), txn), otherwise: () => entry };
      return world.deps.append(logOf(organization), request);
    };
    const txns = Array.from({ length: 2 }, () => newId("transaction", world.clock.nowMs, randomBytes(16)));
    const [before, raced] = [must(txns[0]), must(txns[1])];
    // While the first is committed, the others come together.
    const appended = await Promise.all([
      use(one, before),
      ...[two, one, two].map((chain) => use(chain, raced)),
    ]);
    expect(appended.map(({ committed }) => committed)).toEqual([true, true, false, true]);
  });

  test("[SES-002] is inherited, can't be changed, and stands in the entry", async () => {
    const { agent, own, delegations } = await agentWith("s1");
    const parent = must(delegations[0]);
    const to = await world.agent(world.alice);
    expect(await codeOf(world.passOn(agent, parent, to, { session: "s2" }))).toBe("scope_widening");
    const child = await world.passOn(agent, parent, to);
    expect((await world.entries()).at(-1)).toMatchObject({
      type: "delegation.created",
      delegation: child,
      detail: { session: "s1" },
    });
    const row = await world.db.prisma.delegation.findUniqueOrThrow({ where: { id: child } });
    expect(row.session).toBe("s1");
    const { claims } = await world.exchange(to, child);
    const foreign = await world.grant(world.alice, to, { session: "s2" });
    expect(await codeOf(join(to, foreign, claims))).toBe("session_mismatch");
    expect((await join(agent, parent, own)).claims.txn).toBe(own.txn);
  });

  test("[SES-002] is no chain where a child was made to leave it", async () => {
    const { agent, delegations } = await agentWith("s1");
    const child = await world.passOn(agent, must(delegations[0]), agent);
    for (const session of ["s2", null]) {
      await world.db.prisma.delegation.update({ where: { id: child }, data: { session } });
      world.main.hot.invalidateAll();
      expect(await codeOf(world.exchange(agent, child))).toBe("invalid_delegation");
    }
  });

  test("[SES-001] goes along with a token that is redeemed onward", async () => {
    const [agent, tool] = [await world.agent(world.alice), await world.agent(world.alice)];
    const resource = must(parseAudience(mail));
    const onward = [{ agent: tool.id, resource, scope: ["mail.read"] }];
    const delegation = await world.grant(world.alice, agent, { onward, session: "s1" });
    const { claims } = await world.exchange(agent, delegation);
    const redeemed = (await world.redeem(tool, claims)).claims;
    expect(redeemed.txn).toBe(claims.txn);
    const other = await world.grant(world.alice, tool, { session: "s2" });
    expect(await codeOf(join(tool, other, redeemed))).toBe("session_mismatch");
  });
});

describe("an actor token", () => {
  test("[ONW-008] that is another client's, dead or none is refused, and nothing is issued", async () => {
    const { agent, own, delegations } = await agentWith(undefined);
    const delegation = must(delegations[0]);
    const other = await agentWith();
    const revoked = (await world.issue(agent)).claims;
    const row = { jti: revoked.jti, organizationId: "default", createdAt: new Date() };
    await world.db.prisma.revokedToken.create({ data: { ...row, expiresAt: new Date(revoked.exp * 1000) } });
    const before = (await world.entries()).filter(({ type }) => type === "token.issued").length;
    const forged = { ...own, client_id: other.own.client_id };
    const tokens = [
      ...(await Promise.all([other.own, revoked, forged, { ...own, exp: own.iat }].map(sign))),
      delegation,
      "nonsense",
    ];
    for (const actorToken of tokens) {
      const { code, publicDetail } = await errorOf(world.exchange(agent, delegation, { actorToken }));
      expect([code, publicDetail]).toEqual([
        "actor_unauthorized",
        "the actor_token is no live access token of this client",
      ]);
    }
    const issued = (await world.entries()).filter(({ type }) => type === "token.issued");
    expect(issued).toHaveLength(before);
    expect((await world.entries()).at(-1)).toMatchObject({
      type: "token.refused",
      actor: { id: agent.id },
      refusal: { code: "actor_unauthorized" },
    });
  });

  test("[ONW-008] may stand beside an access token, whose transaction it is that goes on", async () => {
    const [agent, tool] = [await world.agent(world.alice), await world.agent(world.alice)];
    const onward = [{ agent: tool.id, resource: world.mailboxAudience, scope: ["mail.read"] }];
    const { claims } = await world.exchange(agent, await world.grant(world.alice, agent, { onward }));
    const own = (await world.issue(tool)).claims;
    const redeemed = await world.redeem(tool, claims, { actorToken: await sign(own) });
    expect(redeemed.claims.txn).toBe(claims.txn);
    const asActor = world.redeem(tool, claims, { actorToken: await sign(claims) });
    expect(await codeOf(asActor)).toBe("actor_unauthorized");
  });
});

describe("a transaction", () => {
  test("[SES-003] is not joined after a day, by either kind of token", async () => {
    const [agent, tool] = [await world.agent(world.alice), await world.agent(world.alice)];
    const onward = [{ agent: tool.id, resource: world.mailboxAudience, scope: ["mail.read"] }];
    const delegation = await world.grant(world.alice, agent, { onward });
    const { claims } = await world.exchange(agent, delegation);
    const aDayMs = 24 * 3600 * 1000;
    const begunAt = (ms: number) => ({ ...claims, txn: newId("transaction", ms, new Uint8Array(16)) });
    const { nowMs } = world.clock;
    const [over, lasting] = [begunAt(nowMs - aDayMs), begunAt(nowMs - aDayMs + 1)];
    expect(await codeOf(join(agent, delegation, over))).toBe("invalid_request");
    expect(await codeOf(world.redeem(tool, over))).toBe("invalid_request");
    expect((await join(agent, delegation, lasting)).claims.txn).toBe(lasting.txn);
    expect((await world.redeem(tool, lasting)).claims.txn).toBe(lasting.txn);
    expect(await codeOf(join(agent, delegation, { ...claims, txn: "txn_of_mine" }))).toBe("invalid_request");
  });

  test("[SES-003] is forgotten only when no host can take it for one to join", async () => {
    const { agent, delegations } = await agentWith("s1");
    const { claims } = await world.exchange(agent, must(delegations[0]));
    const stands = () => world.db.prisma.transactionSession.count({ where: { txn: claims.txn } });
    const { expiresAt } = await world.db.prisma.transactionSession.findFirstOrThrow({
      where: { txn: claims.txn },
    });
    expect(expiresAt.getTime()).toBe(world.clock.nowMs + 24 * 3600 * 1000);
    await forgetOldTransactions(world.db, new Date(expiresAt.getTime() + 9 * 60_000));
    expect(await stands()).toBe(1);
    await forgetOldTransactions(world.db, new Date(expiresAt.getTime() + 11 * 60_000));
    expect(await stands()).toBe(0);
  });
});

test("[ORG-001] a transaction of one organization is bound by no session of another's", async () => {
  const { agent, own, delegations } = await agentWith("s1");
  const foreign = await world.makeOrganization("sessions");
  const row = { organizationId: foreign.organization, txn: own.txn, session: "theirs" };
  await world.db.prisma.transactionSession.create({ data: { ...row, expiresAt: new Date() } });
  expect((await join(agent, must(delegations[0]), own)).claims.txn).toBe(own.txn);
});
