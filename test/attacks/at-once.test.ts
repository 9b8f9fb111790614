import { randomBytes } from "node:crypto";
import { RefusedError } from "@countersign/sdk/client/client-error";
import { accessTokenType } from "@countersign/sdk/contract/access-token";
import { createDelegation, getDelegation, revokeDelegation } from "@countersign/sdk/contract/delegations";
import { newId } from "@countersign/sdk/model/ids";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { audience, exchangeOf } from "../chaos/cast.ts";
import type { Party } from "../server.ts";
import {
  issuerSigner,
  newKeyEncryptionKey,
  openStage,
  redemptionOf,
  type Stage,
  type TokenAnswer,
  tokenOf,
} from "./stage.ts";

// What many try at once, at two servers on one database.
const removals: (() => Promise<void>)[] = [];
const kek = newKeyEncryptionKey();
const children = 10;
let stage: Stage;
beforeAll(async () => {
  stage = await openStage((remove) => removals.push(remove), { COUNTERSIGN_KEK: kek }, 2);
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

const told = ({ status, error, error_description }: TokenAnswer) =>
  `${status} ${error}: ${error_description}`;

/** Alice's grant to an agent, with more than she usually says. */
async function grantTo(
  agent: Party,
  more: { session?: string; budget?: { tokens: number } },
): Promise<string> {
  const { operator, alice } = stage.cast;
  const body = {
    from_user: alice,
    to_agent: agent.id,
    resource: audience,
    scope: ["mail.read"],
    max_depth: 1,
  };
  return (await operator.perform(createDelegation, { body: { ...body, ...more } })).id;
}

describe("a fan-out of ten children, made at two servers at once", () => {
  /** What became of ten children that each ask for the same share. */
  async function fanOut(parent: string, agent: Party, tokens: number): Promise<(string | RefusedError)[]> {
    const clients = [stage.clientOf(agent, 0), stage.clientOf(agent, 1)];
    // Signed in before, so that all of them ask at the same moment.
    await Promise.all(
      clients.map((client) =>
        client.fetchRaw({ method: "GET", path: `/v1/delegations/${parent}`, scope: "delegate" }),
      ),
    );
    const body = { parent, to_agent: agent.id, resource: audience, scope: ["mail.read"], budget: { tokens } };
    return Promise.all(
      Array.from({ length: children }, (_, place) =>
        must(clients[place % clients.length])
          .perform(createDelegation, { body, scope: "delegate" })
          .then(({ id }) => id, refusal),
      ),
    );
  }

  /** How many tokens all of these give, asked for again and again at both servers at once. */
  async function spendAll(agent: Party, delegations: readonly string[]): Promise<number> {
    const asked = delegations.flatMap((delegation) =>
      Array.from({ length: 16 }, (_, place) => stage.ask(agent, exchangeOf(delegation), place)),
    );
    return (await Promise.all(asked)).filter(({ status }) => status === 200).length;
  }

  test.each([
    ["the parent's whole budget: one gets it", 6, 1],
    ["a third of it: three get it", 2, 3],
    ["more than half of it: one gets it", 4, 1],
  ])("[BUD-001] [BUD-002] each asking for %s", async (_what, share, fitting) => {
    const agent = await stage.cast.createAgent("spender");
    const parent = await grantTo(agent, { budget: { tokens: 6 } });
    const outcomes = await fanOut(parent, agent, share);
    const made = outcomes.filter((outcome) => typeof outcome === "string");
    expect(made).toHaveLength(fitting);
    const refused = outcomes.filter((outcome) => outcome instanceof RefusedError);
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(["budget_exhausted"]));
    expect(await spendAll(agent, [parent, ...made])).toBe(6);
  });

  test("[BUD-002] what a child has left goes back once, however often it is revoked at once", async () => {
    const agent = await stage.cast.createAgent("spender");
    const parent = await grantTo(agent, { budget: { tokens: 6 } });
    const body = {
      parent,
      to_agent: agent.id,
      resource: audience,
      scope: ["mail.read"],
      budget: { tokens: 6 },
    };
    const { id } = await stage.clientOf(agent).perform(createDelegation, { body, scope: "delegate" });
    tokenOf(await stage.ask(agent, exchangeOf(id)));
    const operators = await Promise.all(
      [0, 1].map((place) => stage.installation.operatorAt(stage.at(place))),
    );
    const revoking = Array.from({ length: 6 }, (_, place) =>
      must(operators[place % 2])
        .perform(revokeDelegation, { params: { id } })
        .then(() => "revoked", refusal),
    );
    const spending = Array.from({ length: 6 }, (_, place) => stage.ask(agent, exchangeOf(id), place));
    const [outcomes, spent] = await Promise.all([Promise.all(revoking), Promise.all(spending)]);
    expect(outcomes.filter((outcome) => outcome === "revoked")).toHaveLength(1);
    const issued = 1 + spent.filter(({ status }) => status === 200).length;
    expect(issued + (await spendAll(agent, [parent, id]))).toBe(6);
  });
});

test("[ONW-003] [ONW-010] [BUD-002] one token that is redeemed twelve times at once costs its delegation one, and gives one", async () => {
  const { operator, alice, createAgent } = stage.cast;
  const [agent, tool] = [await createAgent("spender"), await createAgent("tool")];
  const onward = [{ agent: tool.id, resource: audience, scope: ["mail.read"] }];
  const body = { from_user: alice, to_agent: agent.id, resource: audience, scope: ["mail.read"], onward };
  const terms = { max_depth: 1, budget: { tokens: 5 } };
  const { id } = await operator.perform(createDelegation, { body: { ...body, ...terms } });
  const token = tokenOf(await stage.ask(agent, exchangeOf(id)));
  const redeeming = Array.from({ length: 12 }, (_, place) => stage.ask(tool, redemptionOf(token), place));
  const redeemed = (await Promise.all(redeeming)).filter(({ status }) => status === 200);
  expect(redeemed).toHaveLength(1);
  const spending = Array.from({ length: 12 }, (_, place) => stage.ask(agent, exchangeOf(id), place));
  expect((await Promise.all(spending)).filter(({ status }) => status === 200)).toHaveLength(3);
});

test("[TOK-003] [DEL-005] [REV-001] no child is made at one server behind the revocation of its parent at the other, and the receipt counts all that were", async () => {
  const agent = await stage.cast.createAgent("late");
  const parent = await grantTo(agent, {});
  const client = stage.clientOf(agent, 1);
  const pass = () => {
    const body = { parent, to_agent: agent.id, resource: audience, scope: ["mail.read"] };
    return client.perform(createDelegation, { body, scope: "delegate" }).then((made) => made, refusal);
  };
  await pass();
  const early = Array.from({ length: 10 }, pass);
  const receipt = await stage.cast.operator.perform(revokeDelegation, { params: { id: parent } });
  const late = await Promise.all(Array.from({ length: 10 }, pass));
  expect(late.filter((outcome) => !(outcome instanceof RefusedError))).toEqual([]);
  // Counted are what it reached: the first child, and those that were made in time.
  const inTime = (await Promise.all(early)).filter((outcome) => !(outcome instanceof RefusedError));
  expect(receipt.counts.delegations).toBe(inTime.length + 1);
  for (const made of await Promise.all(early)) {
    if (made instanceof RefusedError) continue;
    expect(made.ledger.index).toBeLessThan(receipt.ledger.index);
    const { status } = await stage.cast.operator.perform(getDelegation, { params: { id: made.id } });
    expect(status).toBe("inactive");
    expect((await stage.ask(agent, exchangeOf(made.id), 1)).status).toBe(400);
  }
});

describe("a session", () => {
  test("[SES-001] [SES-002] takes one delegation into a transaction, whichever of many is first, at both servers", async () => {
    const agent = await stage.cast.createAgent("worker");
    const bound = (session: string) => grantTo(agent, { session });
    const [free, one, other] = [await stage.cast.grant(agent), await bound("one"), await bound("other")];
    const own = {
      actor_token: tokenOf(await stage.ask(agent, exchangeOf(free))),
      actor_token_type: accessTokenType,
    };
    const asked = Array.from({ length: 12 }, async (_, place) => {
      const delegation = place % 2 === 0 ? one : other;
      return {
        delegation,
        answer: await stage.ask(agent, { ...exchangeOf(delegation), ...own }, place >> 1),
      };
    });
    const answers = await Promise.all(asked);
    const used = answers.filter(({ answer }) => answer.status === 200);
    expect(new Set(used.map(({ delegation }) => delegation)).size).toBe(1);
    expect(used).toHaveLength(6);
    const refused = answers.filter(({ answer }) => answer.status !== 200);
    expect(new Set(refused.map(({ answer }) => told(answer)))).toEqual(
      new Set(["400 invalid_request: the transaction belongs to another session"]),
    );
  });

  test("[SES-003] that is stale is joined by nobody: a transaction is over after a day", async () => {
    const { sign } = await issuerSigner(stage.installation, kek);
    const agent = await stage.cast.createAgent("worker");
    const delegation = await grantTo(agent, { session: "stale" });
    const claims = decodeJwt(tokenOf(await stage.ask(agent, exchangeOf(delegation))));
    const madeAt = (ms: number) => sign({ ...claims, txn: newId("transaction", ms, randomBytes(16)) });
    const join = (actor: string) =>
      stage.ask(agent, { ...exchangeOf(delegation), actor_token: actor, actor_token_type: accessTokenType });
    const aDayMs = 24 * 60 * 60_000;
    expect(told(await join(madeAt(Date.now() - aDayMs)))).toContain("the transaction is over");
    expect((await join(madeAt(Date.now() - aDayMs + 60_000))).status).toBe(200);
  });
});

function refusal(error: unknown): RefusedError {
  if (error instanceof RefusedError) return error;
  throw error;
}

function must<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("it is not there");
  return value;
}
