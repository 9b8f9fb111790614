import { expect, test } from "vitest";
import { type Client, strictProfile } from "../../src/domain/client.ts";
import { readsRegisteredClients } from "../../src/issuer/registered-clients.ts";
import { makeParty, trustDomain } from "./issuer-harness.ts";

const credential = {
  id: "crd_1" as Client["credentials"][number]["id"],
  thumbprint: "t",
  publicJwk: '{"kty":"EC"}',
};

async function aClient(changes: Partial<Client> = {}) {
  const { principal, clientId } = await makeParty();
  const client: Client = {
    principal,
    status: "active",
    owner: undefined,
    roles: [],
    credentials: [credential],
    profile: strictProfile,
    ...changes,
  };
  return { clientId, read: readsRegisteredClients(trustDomain, async () => client) };
}

test("a client is known by its keys, whatever its status: the journeys refuse and record it", async () => {
  for (const status of ["active", "suspended", "retired"] as const) {
    const { clientId, read } = await aClient({ status });
    expect(await read(clientId)).toEqual({
      clientId,
      jwks: { keys: [{ kty: "EC", kid: "t" }] },
      profile: strictProfile,
    });
  }
});

test("a client without a key has none to authenticate by, and who is no principal is unknown", async () => {
  const { clientId, read } = await aClient({ credentials: [] });
  expect((await read(clientId))?.jwks).toEqual({ keys: [] });
  expect(await (await aClient()).read("me")).toBeUndefined();
});

test("a client's keys are read once for as long as it is the same", async () => {
  const { clientId, read } = await aClient();
  expect(await read(clientId)).toBe(await read(clientId));
});
