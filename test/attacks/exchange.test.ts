import { randomBytes } from "node:crypto";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { accessTokenType, delegationTokenType } from "@countersign/sdk/contract/access-token";
import { createAgent } from "@countersign/sdk/contract/agents";
import { createDelegation, getDelegation, listDelegations } from "@countersign/sdk/contract/delegations";
import { createResource } from "@countersign/sdk/contract/resources";
import { createUser } from "@countersign/sdk/contract/users";
import { newId } from "@countersign/sdk/model/ids";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { audience, exchangeOf, narrow } from "../chaos/cast.ts";
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

// What agents and resources can try with tokens and delegations that they were handed, through two servers.
const removals: (() => Promise<void>)[] = [];
const calendar = "https://calendar.example/";
const kek = newKeyEncryptionKey();
let stage: Stage;
let bobsAgent: Party;
let calendarServer: Party;
beforeAll(async () => {
  stage = await openStage((remove) => removals.push(remove), { COUNTERSIGN_KEK: kek }, 2);
  const { operator, alice } = stage.cast;
  const { id: bob } = await operator.perform(createUser, { body: { name: "Bob" } });
  const keys = await Promise.all([makeKeyPair(), makeKeyPair()]);
  const [{ publicJwk: agentJwk, privateJwk: agentKey }, { publicJwk: jwk, privateJwk: key }] = keys;
  const agent = await operator.perform(createAgent, { body: { owner: bob, name: "mallory", jwk: agentJwk } });
  bobsAgent = { id: agent.id, clientId: agent.client_id, key: agentKey };
  const body = { audience: calendar, scope: ["mail.read"], owner: alice, jwk };
  const made = await operator.perform(createResource, { body });
  calendarServer = { id: made.id, clientId: made.client_id, key };
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

/** A chain of two: Alice grants to the first, who passes on to the second. */
async function makeChain() {
  const { createAgent: make, grant } = stage.cast;
  const [first, second] = [await make("first"), await make("second")];
  const root = await grant(first);
  return { first, second, root, leaf: await narrow(stage.clientOf(first), root, second) };
}

/** A delegation whose tokens a tool may redeem, and one such token. */
async function makeListed(more: { budget?: { tokens: number } } = {}) {
  const { operator, alice, createAgent: make } = stage.cast;
  const [agent, tool] = [await make("agent"), await make("tool")];
  const onward = [{ agent: tool.id, resource: calendar, scope: ["mail.read"] }];
  const body = {
    from_user: alice,
    to_agent: agent.id,
    resource: audience,
    scope: ["mail.read"],
    onward,
    max_depth: 1,
  };
  const { id } = await operator.perform(createDelegation, { body: { ...body, ...more } });
  const token = tokenOf(await stage.ask(agent, exchangeOf(id)));
  return { agent, tool, delegation: id, token };
}

const told = ({ status, error, error_description }: TokenAnswer) =>
  `${status} ${error}: ${error_description}`;
const actorsOf = (token: string): string[] => {
  const actors: string[] = [];
  for (
    let act: unknown = decodeJwt(token)["act"];
    typeof act === "object" && act !== null && "sub" in act;
  ) {
    actors.push(String(act.sub));
    act = "act" in act ? act.act : undefined;
  }
  return actors;
};
const countDelegations = async () => {
  const { items } = await stage.cast.operator.perform(listDelegations, { query: { limit: 200 } });
  return items.length;
};

describe("a spliced chain", () => {
  test("[TOK-002] [DEL-007] takes nothing of what is sent: the act of the token is the recorded path", async () => {
    const { first, second, leaf } = await makeChain();
    const claimed = JSON.stringify({ sub: bobsAgent.clientId, iss: stage.installation.issuer });
    const sent = { act: claimed, may_act: claimed, actor: claimed, sub: "usr_x", client: "x", path: leaf };
    const token = tokenOf(await stage.ask(second, { ...exchangeOf(leaf), ...sent }));
    expect(actorsOf(token)).toEqual([second.clientId, first.clientId]);
    expect(decodeJwt(token)["sub"]).toBe(stage.cast.alice);
  });

  test("[TOK-002] [ONW-008] is not made of one chain's delegation and another's actor token", async () => {
    const [one, other] = [await makeChain(), await makeChain()];
    const upstream = tokenOf(await stage.ask(one.first, exchangeOf(one.root)));
    const foreign = tokenOf(await stage.ask(other.second, exchangeOf(other.leaf)));
    for (const actor of [upstream, foreign]) {
      const actorToken = { actor_token: actor, actor_token_type: accessTokenType };
      const answer = await stage.ask(one.second, { ...exchangeOf(one.leaf), ...actorToken });
      expect([answer.status, answer.error]).toEqual([400, "actor_unauthorized"]);
    }
    // Its own token of the other chain joins the transaction, and no actor of that chain enters.
    const mixed = await narrow(stage.clientOf(other.first), other.root, one.second);
    const own = tokenOf(await stage.ask(one.second, exchangeOf(mixed)));
    const actorToken = { actor_token: own, actor_token_type: accessTokenType };
    const token = tokenOf(await stage.ask(one.second, { ...exchangeOf(one.leaf), ...actorToken }));
    expect(actorsOf(token)).toEqual([one.second.clientId, one.first.clientId]);
    expect(decodeJwt(token)["txn"]).toBe(decodeJwt(own)["txn"]);
  });

  test("[ONW-001] is not made upstream: whoever holds or receives a token gets none of it with an actor token of their own", async () => {
    const { first, second, leaf } = await makeChain();
    const token = tokenOf(await stage.ask(second, exchangeOf(leaf)));
    const own = tokenOf(await stage.ask(bobsAgent, exchangeOf(await stage.cast.grant(bobsAgent))));
    const before = await countDelegations();
    for (const client of [first, second, bobsAgent, stage.cast.mailbox, calendarServer]) {
      const actor = { actor_token: own, actor_token_type: accessTokenType };
      for (const more of [{}, client === bobsAgent ? actor : {}]) {
        const answer = await stage.ask(client, { ...redemptionOf(token), ...more, resource: audience });
        expect([answer.status, answer.error]).toEqual([400, "actor_unauthorized"]);
      }
    }
    expect(await countDelegations()).toBe(before);
  });

  test("[TOK-002] [ONW-004] is worth nothing even where the issuer's own key signed it", async () => {
    const { sign } = await issuerSigner(stage.installation, kek);
    const { agent, tool, token, delegation } = await makeListed();
    const { leaf, second } = await makeChain();
    const claims = decodeJwt(token);
    const act = { iss: stage.installation.issuer, sub_profile: "ai_agent" };
    const spliced = [
      { ...claims, delegation: leaf },
      { ...claims, delegation_root: leaf },
      { ...claims, client_id: second.clientId, act: { ...act, sub: second.clientId } },
      { ...claims, act: { ...act, sub: agent.clientId, act: { ...act, sub: bobsAgent.clientId } } },
      { ...claims, act: undefined },
      { ...claims, act: { ...act, sub: bobsAgent.clientId, act: claims["act"] } },
      { ...claims, sub: "usr_01arz3ndektsv4rrffq69g5fav" },
      { ...claims, aud: calendar },
      { ...claims, may_act: { sub: bobsAgent.clientId } },
      { ...claims, org: "elsewhere" },
    ];
    for (const one of spliced) {
      const answer = await stage.ask(tool, redemptionOf(sign(one)));
      expect([answer.status, answer.access_token]).toEqual([400, undefined]);
    }
    expect((await stage.ask(tool, redemptionOf(sign({ ...claims })))).status).toBe(200);
    expect((await stage.ask(agent, exchangeOf(delegation))).status).toBe(200);
  });
});

test("[DEL-004] another's handle is told as one that does not exist, to strangers, neighbours and resources alike", async () => {
  const { first, root, leaf } = await makeChain();
  const unknown = newId("delegation", Date.now(), randomBytes(16));
  const answers = await Promise.all([
    ...[root, leaf, unknown, `${leaf}x`, leaf.toUpperCase(), ` ${leaf}`, leaf.slice(4)].map((handle) =>
      stage.ask(bobsAgent, exchangeOf(handle)),
    ),
    stage.ask(first, exchangeOf(leaf)),
    stage.ask(stage.cast.mailbox, exchangeOf(leaf)),
  ]);
  expect(new Set(answers.map(told)).size).toBe(1);
  expect(answers[0]?.status).toBe(400);
});

describe("an exchange", () => {
  test("[ONW-008] is the same with its actor token left out; one by halves or of somebody else is refused", async () => {
    const { tool, agent, token } = await makeListed();
    const theirs = tokenOf(await stage.ask(tool, redemptionOf(token)));
    const withOwn = { actor_token: theirs, actor_token_type: accessTokenType };
    const again = tokenOf(await stage.ask(tool, { ...redemptionOf(token), ...withOwn }));
    expect(actorsOf(again)).toEqual([tool.clientId, agent.clientId]);
    expect(actorsOf(again)).toEqual(actorsOf(theirs));
    const lies = [
      { actor_token: token, actor_token_type: accessTokenType },
      { actor_token: "x", actor_token_type: accessTokenType },
      { actor_token: `${theirs}x`, actor_token_type: accessTokenType },
      { actor_token: theirs },
      { actor_token_type: accessTokenType },
      { actor_token: theirs, actor_token_type: delegationTokenType },
    ];
    for (const lie of lies) {
      const { status, access_token } = await stage.ask(tool, { ...redemptionOf(token), ...lie });
      expect([status, access_token]).toEqual([400, undefined]);
    }
  });

  test("[ONW-001] [TOK-004] gives nothing for being an audience, nor for naming one", async () => {
    const { agent, tool, token, delegation } = await makeListed();
    const only = { grant_type: redemptionOf("").grant_type, audience };
    for (const client of [stage.cast.mailbox, calendarServer, bobsAgent]) {
      expect((await stage.ask(client, only)).error).toBe("invalid_request");
      for (const named of [{ audience }, { audience: calendar }]) {
        expect((await stage.ask(client, { ...redemptionOf(token), ...named })).error).toBe(
          "actor_unauthorized",
        );
      }
    }
    // Named by `audience` alone, a target is bounded as when it is named by `resource`.
    const { resource: _, ...handle } = exchangeOf(delegation);
    expect((await stage.ask(agent, { ...handle, audience })).status).toBe(200);
    for (const target of [{ audience: calendar }, { audience, resource: calendar }]) {
      expect((await stage.ask(agent, { ...handle, ...target })).error).toBe("invalid_target");
    }
    expect((await stage.ask(tool, { ...redemptionOf(token), audience })).error).toBe("invalid_target");
  });

  test("[ONW-003] [ONW-002] of one token many times at once, at both servers, is one delegation, no wider and no longer", async () => {
    const { tool, token } = await makeListed();
    const asked = Array.from({ length: 12 }, (_, place) => stage.ask(tool, redemptionOf(token), place));
    const answers = (await Promise.all(asked)).map(tokenOf).map((one) => decodeJwt(one));
    expect(new Set(answers.map(({ delegation }) => delegation)).size).toBe(1);
    const { exp = 0 } = decodeJwt(token);
    for (const one of answers) expect([one.aud, one["scope"]]).toEqual([calendar, "mail.read"]);
    for (const one of answers) expect(one.exp).toBeLessThanOrEqual(exp);
    const id = String(answers[0]?.["delegation"]);
    const { redeemed, max_depth } = await stage.cast.operator.perform(getDelegation, { params: { id } });
    expect([redeemed, max_depth]).toEqual([decodeJwt(token).jti, 0]);
    for (const scope of ["mail.send", "mail.read mail.send", "*"]) {
      expect((await stage.ask(tool, { ...redemptionOf(token), scope })).error).toBe("invalid_scope");
    }
  });

  test("[ONW-010] takes from the budget, and is refused where none is left", async () => {
    const { agent, tool, token, delegation } = await makeListed({ budget: { tokens: 2 } });
    tokenOf(await stage.ask(tool, redemptionOf(token)));
    expect((await stage.ask(agent, exchangeOf(delegation))).status).toBe(400);
    expect((await stage.ask(tool, redemptionOf(token), 1)).status).toBe(400);
  });

  test("[ONW-007] is listed by nobody for a resource that is not theirs to give", async () => {
    const { operator, alice, createAgent: make } = stage.cast;
    const { id: carol } = await operator.perform(createUser, { body: { name: "Carol" } });
    const foreign = "https://carol.example/";
    await operator.perform(createResource, {
      body: { audience: foreign, scope: ["mail.read"], owner: carol },
    });
    const agent = await make("agent");
    const onward = [{ agent: bobsAgent.id, resource: foreign, scope: ["mail.read"] }];
    const body = { to_agent: agent.id, resource: audience, scope: ["mail.read"], onward, max_depth: 1 };
    const granting = operator.perform(createDelegation, { body: { ...body, from_user: alice } });
    await expect(granting).rejects.toMatchObject({ code: "not_authorized" });
    const parent = await stage.cast.grant(agent);
    const passing = stage
      .clientOf(agent)
      .perform(createDelegation, { body: { ...body, parent }, scope: "delegate" });
    await expect(passing).rejects.toMatchObject({ code: "scope_widening" });
  });
});
