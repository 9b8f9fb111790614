import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { createAttestedClients } from "../../src/issuer/attested-clients.ts";
import { createProvider } from "../../src/issuer/provider.ts";
import { makeParty, post, registered, startIssuer } from "./issuer-harness.ts";

test("clients are parsed once, however many there are", async () => {
  const parties = await Promise.all(Array.from({ length: 260 }, () => makeParty()));
  const { deps, keys, stop } = await startIssuer(parties);
  const provider = createProvider(deps, keys, createAttestedClients(deps));
  const [first, ...others] = parties.map(({ clientId }) => clientId);
  const parsed = await provider.Client.find(first ?? "");
  for (const clientId of others) expect(await provider.Client.find(clientId)).toBeDefined();
  expect(parsed).toBeDefined();
  expect(await provider.Client.find(first ?? "")).toBe(parsed);
  await stop();
});

test("a client whose keys change is known by the new ones at once", async () => {
  const [one, two] = await Promise.all([makeParty(), makeParty()]);
  let key = one.key;
  const { issuer, stop } = await startIssuer([], {
    findClient: async () => registered(one.clientId, key),
  });
  const ask = (party: typeof one) =>
    post(issuer, "/token", party, {
      parameters: { grant_type: "client_credentials", resource: "https://a.example" },
    });
  expect((await ask(one)).status).toBe(200);
  key = two.key;
  expect((await ask({ ...one, key: two.key })).status).toBe(200);
  expect((await ask(one)).status).toBe(401);
  await stop();
});

test("who can't be a client costs no look-up", async () => {
  const asked: string[] = [];
  const party = await makeParty();
  const { issuer, stop } = await startIssuer([], { findClient: async (id) => void asked.push(id) });
  const foreign = [
    "me",
    "spiffe://elsewhere.example/org/default/agent/agt_x",
    `${party.clientId}/x`,
    randomUUID(),
  ];
  for (const clientId of foreign)
    expect((await post(issuer, "/token", { ...party, clientId })).status).toBe(401);
  expect(asked).toEqual([]);
  expect((await post(issuer, "/token", party)).status).toBe(401);
  expect(asked).toEqual([party.clientId]);
  await stop();
});
