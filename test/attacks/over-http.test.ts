import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { createAgent, transferAgent } from "@countersign/sdk/contract/agents";
import {
  consentToDelegation,
  createDelegation,
  revokeDelegation,
} from "@countersign/sdk/contract/delegations";
import { createResource } from "@countersign/sdk/contract/resources";
import type { RevocationReceiptWire } from "@countersign/sdk/contract/revocation-receipt";
import { listReach } from "@countersign/sdk/contract/revocations";
import { revokeToken } from "@countersign/sdk/contract/tokens";
import { createUser, offboardUser } from "@countersign/sdk/contract/users";
import { verifyReach, verifyRevocationReceipt } from "@countersign/sdk/verify/verify-revocation-receipt";
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, type JSONWebKeySet, SignJWT } from "jose";
import { afterAll, beforeAll, expect, test } from "vitest";
import { audience, exchangeOf, isActive, narrow, scope } from "../chaos/cast.ts";
import { type Party, until } from "../server.ts";
import { codeOf, openStage, redemptionOf, type Stage, tokenOf } from "./stage.ts";

// What the journeys refuse, tried against a server that runs, by HTTP alone.
const removals: (() => Promise<void>)[] = [];
const calendarAudience = "https://calendar.example/";
let stage: Stage;
let calendar: Party;
beforeAll(async () => {
  stage = await openStage((remove) => removals.push(remove));
  const { operator, alice } = stage.cast;
  const { publicJwk, privateJwk } = await makeKeyPair();
  const body = { audience: calendarAudience, scope: [scope], owner: alice, jwk: publicJwk };
  const { id, client_id } = await operator.perform(createResource, { body });
  calendar = { id, clientId: client_id, key: privateJwk };
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

const isLive = (token: string, at: Party = stage.cast.mailbox) =>
  isActive(stage.installation, stage.at(0), at, token);
/** What the token endpoint says to a delegation: nothing, or its error. */
const errorOf = async (agent: Party, delegation: string) =>
  (await stage.ask(agent, exchangeOf(delegation))).error;
const agentOf = async (owner: string, more: object = {}): Promise<Party> => {
  const { publicJwk, privateJwk } = await makeKeyPair();
  const body = { owner, name: "worker", jwk: publicJwk, ...more };
  const { id, client_id } = await stage.cast.operator.perform(createAgent, { body });
  return { id, clientId: client_id, key: privateJwk };
};
const newUser = async () => (await stage.cast.operator.perform(createUser, { body: { name: "Bob" } })).id;

/** An agent with a token that another agent may redeem for the calendar. */
async function listed() {
  const { operator, alice } = stage.cast;
  const [agent, tool] = [await agentOf(alice), await agentOf(alice)];
  const onward = [{ agent: tool.id, resource: calendarAudience, scope: [scope] }];
  const terms = { resource: audience, scope: [scope], onward, max_depth: 2 };
  const body = { from_user: alice, to_agent: agent.id, ...terms };
  const { id } = await operator.perform(createDelegation, { body });
  const token = tokenOf(await stage.ask(agent, exchangeOf(id)));
  const redeem = (resource: string) => stage.ask(tool, { ...redemptionOf(token), resource });
  return { agent, tool, delegation: id, token, redeem };
}

test("[ONW-005] what was redeemed is dead with the token, or the delegation, that was taken back", async () => {
  const { operator } = stage.cast;
  for (const takeBack of ["token", "delegation"] as const) {
    const { token, delegation, redeem } = await listed();
    const redeemed = tokenOf(await redeem(calendarAudience));
    expect(await isLive(redeemed, calendar)).toBe(true);
    if (takeBack === "delegation") await operator.perform(revokeDelegation, { params: { id: delegation } });
    else await operator.perform(revokeToken, { params: { id: String(decodeJwt(token).jti) } });
    expect([takeBack, await isLive(redeemed, calendar)]).toEqual([takeBack, false]);
    expect((await redeem(calendarAudience)).access_token).toBeUndefined();
  }
});

test("[ONW-006] nobody gets to another resource than the parent's but by redeeming a token that lists it", async () => {
  const { agent, tool, delegation, redeem } = await listed();
  const to = { to_agent: tool.id, resource: calendarAudience };
  const body = { parent: delegation, scope: [scope], ...to };
  const passing = stage.clientOf(agent).perform(createDelegation, { body, scope: "delegate" });
  expect(await codeOf(passing)).toBe("invalid_target");
  const elsewhere = { ...exchangeOf(delegation), resource: calendarAudience };
  expect((await stage.ask(agent, elsewhere)).error).toBe("invalid_target");
  const { access_token } = await redeem(calendarAudience);
  expect(decodeJwt(access_token ?? "").aud).toBe(calendarAudience);
});

test("[USR-001] nothing goes on through the agents of somebody who has left, nor is anything given to them", async () => {
  const { operator, alice } = stage.cast;
  const bob = await newUser();
  const [his, hers] = [await agentOf(bob), await agentOf(alice)];
  const [grant, root] = [await stage.cast.grant(his), await stage.cast.grant(hers)];
  const child = await narrow(stage.clientOf(hers), root, his);
  const tokens = [grant, child].map(async (id) => tokenOf(await stage.ask(his, exchangeOf(id))));
  for (const token of await Promise.all(tokens)) expect(await isLive(token)).toBe(true);
  await operator.perform(offboardUser, { params: { id: bob } });
  for (const token of await Promise.all(tokens)) expect(await isLive(token)).toBe(false);
  for (const id of [grant, child]) expect(await errorOf(his, id)).toBeDefined();
  expect(await codeOf(stage.signIn(his, "delegate"))).not.toBe("done");
  expect(await codeOf(stage.cast.grant(his))).toBe("subject_not_active");
  expect(await errorOf(hers, root)).toBeUndefined();
});

test("[AGT-006] an agent gets nothing when its time is over, and its token ends with it", async () => {
  const expires_at = new Date(Date.now() + 4000).toISOString();
  const agent = await agentOf(stage.cast.alice, { expires_at });
  const delegation = await stage.cast.grant(agent);
  const token = tokenOf(await stage.ask(agent, exchangeOf(delegation)));
  expect(Number(decodeJwt(token).exp) * 1000).toBeLessThanOrEqual(Date.parse(expires_at));
  await until("its end", async () => Date.now() > Date.parse(expires_at));
  expect(await isLive(token)).toBe(false);
  expect(await errorOf(agent, delegation)).toBeDefined();
  expect(await codeOf(stage.signIn(agent, "delegate"))).not.toBe("done");
  expect(await codeOf(stage.cast.grant(agent))).toBe("subject_not_active");
});

test("[AGT-003] [DEL-011] what an agent held under its former owner is dead until its giver consents, nobody else", async () => {
  const { operator, alice } = stage.cast;
  const bob = await newUser();
  const [first, moved] = [await agentOf(alice), await agentOf(alice)];
  const child = await narrow(stage.clientOf(first), await stage.cast.grant(first), moved);
  const token = tokenOf(await stage.ask(moved, exchangeOf(child)));
  await operator.perform(transferAgent, { params: { id: moved.id }, body: { owner: bob } });
  expect(await isLive(token)).toBe(false);
  expect(await errorOf(moved, child)).toBeDefined();
  // In the second of a stop nothing is issued.
  await until("the next second", async () => (await codeOf(stage.signIn(moved, "delegate"))) === "done");
  const consent = { params: { id: child } };
  expect(await codeOf(operator.perform(consentToDelegation, consent))).toBe("not_authorized");
  const asGrantee = stage.clientOf(moved).perform(consentToDelegation, { ...consent, scope: "delegate" });
  expect(await codeOf(asGrantee)).toBe("not_found");
  await stage.clientOf(first).perform(consentToDelegation, { ...consent, scope: "delegate" });
  expect(await errorOf(moved, child)).toBeUndefined();
  expect(await isLive(token)).toBe(false);
  // What it is given now holds under the new owner.
  expect(await errorOf(moved, await stage.cast.grant(moved))).toBeUndefined();
  await operator.perform(offboardUser, { params: { id: bob } });
  const back = operator.perform(transferAgent, { params: { id: first.id }, body: { owner: bob } });
  expect(await codeOf(back)).toBe("subject_not_active");
});

/** A revocation of two delegations, as its operator was answered. */
async function revoked(): Promise<RevocationReceiptWire> {
  const [agent, tool] = [await agentOf(stage.cast.alice), await agentOf(stage.cast.alice)];
  const root = await stage.cast.grant(agent);
  await narrow(stage.clientOf(agent), root, tool);
  return stage.cast.operator.perform(revokeDelegation, { params: { id: root } });
}
const expectation = async () => {
  const jwks = (await (await fetch(`${stage.at(0).url}/jwks`)).json()) as JSONWebKeySet;
  return { issuer: stage.installation.issuer, keys: createLocalJWKSet(jwks) };
};

test("[REV-003] a forged receipt is none by the issuer's keys, and a real one opens nothing", async () => {
  const { receipt } = await revoked();
  const expected = await expectation();
  await verifyRevocationReceipt(receipt, expected);
  const { privateJwk } = await makeKeyPair();
  const { kid = "", typ = "" } = decodeProtectedHeader(receipt);
  const forged = new SignJWT(decodeJwt(receipt)).setProtectedHeader({ alg: "ES256", kid, typ });
  const code = "signature_invalid";
  await expect(verifyRevocationReceipt(await forged.sign(privateJwk), expected)).rejects.toMatchObject({
    code,
  });
  const { accessToken } = await stage.signIn(await stage.installation.operatorKey(), "admin");
  const misplaced = verifyRevocationReceipt(accessToken, expected);
  await expect(misplaced).rejects.toMatchObject({ code: "type_not_accepted" });
  const { key } = await stage.installation.operatorKey();
  expect(await stage.present(receipt, key)).toBe(401);
  expect(await isLive(receipt)).toBe(false);
  const { status } = await stage.ask(stage.cast.mailbox, redemptionOf(receipt));
  expect(status).toBe(400);
});

test("[REV-002] a list with an item left out is not the one of the receipt", async () => {
  const { receipt, ledger } = await revoked();
  const claims = await verifyRevocationReceipt(receipt, await expectation());
  const params = { index: String(ledger.index) };
  const { items } = await stage.cast.operator.perform(listReach, { params });
  await verifyReach(claims, items);
  expect(items).toHaveLength(2);
  for (const left of items) {
    const others = items.filter((item) => item !== left);
    for (const list of [others, [...others, ...others]])
      await expect(verifyReach(claims, list)).rejects.toMatchObject({ code: "reach_mismatch" });
  }
});
