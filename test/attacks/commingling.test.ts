import { randomBytes } from "node:crypto";
import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import { type DelegationId, logOf, newId, type TransactionId, type UserId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { transactionUse } from "../../src/journeys/record/session.ts";
import { forgetOldTransactions } from "../../src/store/transaction-sessions.ts";
import { must, organization, sign } from "../journeys/server-process.ts";
import {
  type AgentPrincipal,
  errorOf,
  openWorld,
  startAnotherProcess,
  type World,
} from "../journeys/world.ts";

let world: World;
let bob: UserId;
const shared = "https://shared.example/";
beforeAll(async () => {
  world = await openWorld();
  bob = await world.user("Bob");
  await world.resource(shared, undefined, true);
});
afterAll(() => world.close());

const codeOf = (attempt: Promise<unknown>) => errorOf(attempt).then(({ code }) => code);
const use = async (
  agent: AgentPrincipal,
  delegation: DelegationId,
  inTransactionOf: AccessTokenClaims,
  process = world.main,
) => world.exchange(agent, delegation, { actorToken: await sign(inTransactionOf) }, process);

/** An agent that holds one delegation of Alice's and one of Bob's, and a token of its own that begins a transaction. */
async function servant(alices: boolean, bobs: boolean) {
  const agent = await world.agent(world.alice);
  const terms = (exclusive: boolean) => ({ resource: shared, ...(exclusive && { exclusive }) });
  return {
    agent,
    own: (await world.issue(agent)).claims,
    ofAlice: await world.grant(world.alice, agent, terms(alices)),
    ofBob: await world.grant(bob, agent, terms(bobs)),
  };
}

describe("[NCM-001] in a transaction with an exclusive delegation nobody else's authority is used", () => {
  test.each([
    ["who comes first", true, false],
    ["who comes second", false, true],
    ["both", true, true],
  ])("where %s forbids it", async (_, alices, bobs) => {
    const { agent, own, ofAlice, ofBob } = await servant(alices, bobs);
    const { claims } = await use(agent, ofAlice, own);
    expect(claims.txn).toBe(own.txn);
    expect(await codeOf(use(agent, ofBob, own))).toBe("commingling_refused");
    // By way of the token that the first use gave neither; and the first one's goes on.
    expect(await codeOf(use(agent, ofBob, claims))).toBe("commingling_refused");
    await use(agent, ofAlice, claims);
    // In a transaction of its own it is used as ever.
    expect((await world.exchange(agent, ofBob)).claims.txn).not.toBe(own.txn);
  });

  test("and where neither forbids it both are", async () => {
    const { agent, own, ofAlice, ofBob } = await servant(false, false);
    await use(agent, ofAlice, own);
    await use(agent, ofBob, own);
    const issued = (await world.entries()).filter(
      ({ type, txn }) => type === "token.issued" && txn === own.txn,
    );
    expect(issued.flatMap(({ subject }) => subject ?? [])).toEqual([world.alice, bob]);
  });

  test("an exclusive one comes too late where another's was used, by whichever delegation of the same user", async () => {
    const { agent, own, ofAlice, ofBob } = await servant(false, false);
    const apart = await world.grant(bob, agent, { resource: shared, exclusive: true });
    await use(agent, ofBob, own);
    await use(agent, apart, own);
    expect(await codeOf(use(agent, ofAlice, own))).toBe("commingling_refused");

    const other = await servant(false, true);
    await use(other.agent, other.ofAlice, other.own);
    expect(await codeOf(use(other.agent, other.ofBob, other.own))).toBe("commingling_refused");
  });

  test("the refusal is in the ledger, with the transaction, whose authority it was, and why", async () => {
    const { agent, own, ofAlice, ofBob } = await servant(true, false);
    await use(agent, ofAlice, own);
    expect(await codeOf(use(agent, ofBob, own))).toBe("commingling_refused");
    expect((await world.entries()).at(-1)).toMatchObject({
      type: "token.refused",
      txn: own.txn,
      subject: bob,
      delegation: ofBob,
      refusal: { code: "commingling_refused", reason: expect.stringContaining(`authority of ${bob}`) },
    });
  });
});

describe("[NCM-002] what is exclusive stays so", () => {
  test("below it and by redeeming, and no child is made that is not", async () => {
    const { agent, own, ofBob } = await servant(false, false);
    const tool = await world.agent(world.alice);
    const onward = [{ agent: tool.id, resource: world.mailboxAudience, scope: ["mail.read"] }];
    const apart = await world.grant(world.alice, agent, { exclusive: true, onward });
    const child = await world.passOn(agent, apart, tool);
    expect(await codeOf(world.passOn(agent, apart, tool, { exclusive: false }))).toBe("scope_widening");

    const held = await world.grant(bob, tool, { resource: shared });
    const toolsOwn = (await world.issue(tool)).claims;
    await use(tool, child, toolsOwn);
    expect(await codeOf(use(tool, held, toolsOwn))).toBe("commingling_refused");

    const { claims } = await use(agent, apart, own);
    expect((await world.redeem(tool, claims)).claims.txn).toBe(own.txn);
    expect(await codeOf(use(agent, ofBob, own))).toBe("commingling_refused");
  });
});

describe("[NCM-003] of two people's authority that race into a transaction one is used", () => {
  test("in one process and in two", async () => {
    const other = await startAnotherProcess(world);
    for (const processes of [[world.main], [world.main, other]]) {
      const { agent, own, ofAlice, ofBob } = await servant(true, false);
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, (_, place) =>
          use(agent, place % 2 === 0 ? ofAlice : ofBob, own, must(processes[place % processes.length])),
        ),
      );
      const won = results.map(({ status }) => status === "fulfilled");
      expect(won.filter(Boolean)).toHaveLength(10);
      expect([0, 1].map((which) => new Set(won.filter((_, place) => place % 2 === which)).size)).toEqual([
        1, 1,
      ]);
      const rows = await world.db.prisma.transactionSubject.findMany({ where: { txn: own.txn } });
      expect(rows.map(({ subjectId }) => subjectId)).toEqual([won[0] ? world.alice : bob]);
    }
    await other.close();
  });

  test("in one batch", async () => {
    const { ofAlice, ofBob } = await servant(true, false);
    const [alices, bobs] = await Promise.all(
      [ofAlice, ofBob].map((id) => world.deps.findDelegationChain(organization, id)),
    );
    const commit = (chain: typeof alices, txn: TransactionId) => {
      const entry = { type: "token.issued", actor: { kind: "system", id: "test" } } as const;
      return world.deps.append(logOf(organization), {
        entry,
        ...transactionUse(must(chain), txn),
        otherwise: () => entry,
      });
    };
    const newTransaction = () => newId("transaction", world.clock.nowMs, randomBytes(16));
    const raced = newTransaction();
    // While the first is committed, the others come together.
    const appended = await Promise.all([
      commit(alices, newTransaction()),
      ...[bobs, alices, bobs].map((chain) => commit(chain, raced)),
    ]);
    expect(appended.map(({ committed }) => committed)).toEqual([true, true, false, true]);
  });
});

test("[NCM-001] it is forgotten when nothing can join the transaction any more", async () => {
  const { agent, own, ofAlice } = await servant(true, false);
  await use(agent, ofAlice, own);
  const stands = () => world.db.prisma.transactionSubject.count({ where: { txn: own.txn } });
  const dayMs = 24 * 3600 * 1000;
  await forgetOldTransactions(world.db, new Date(world.clock.nowMs + dayMs + 9 * 60_000));
  expect(await stands()).toBe(1);
  await forgetOldTransactions(world.db, new Date(world.clock.nowMs + dayMs + 11 * 60_000));
  expect(await stands()).toBe(0);
});

test("[ORG-001] a transaction of one organization is kept apart by nobody of another's", async () => {
  const { agent, own, ofAlice } = await servant(true, false);
  const foreign = await world.makeOrganization("apart");
  const row = {
    organizationId: foreign.organization,
    txn: own.txn,
    subjectId: "usr_theirs",
    exclusive: true,
  };
  await world.db.prisma.transactionSubject.create({ data: { ...row, expiresAt: new Date() } });
  expect((await use(agent, ofAlice, own)).claims.txn).toBe(own.txn);
});
