import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { createAgent } from "@countersign/sdk/contract/agents";
import { clientChangedSchema } from "@countersign/sdk/contract/clients";
import { createOperator } from "@countersign/sdk/contract/operators";
import { problemSchema } from "@countersign/sdk/contract/problem";
import { listUsers, userCreatedSchema } from "@countersign/sdk/contract/users";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { callApi } from "../chaos/cast.ts";
import { sqlOf } from "../chaos/postgres.ts";
import { freePort, type Installation, makeInstallation, type Party, type ServerProcess } from "../server.ts";

let installation: Installation;
let servers: readonly ServerProcess[];
let remove: () => Promise<void>;
let first: Caller;
let second: Caller;

interface Caller extends Omit<Party, "id"> {
  readonly accessToken: string;
}

beforeAll(async () => {
  installation = await makeInstallation({}, (end) => {
    remove = end;
  });
  servers = [await installation.startServer(), await installation.startServer(await freePort())];
  first = await signIn(await installation.operatorKey());
  const { publicJwk, privateJwk } = await makeKeyPair();
  const operator = await installation.operatorAt(at(0));
  const { client_id } = await operator.perform(createOperator, { body: { name: "Bob", jwk: publicJwk } });
  second = await signIn({ clientId: client_id, key: privateJwk });
});
afterAll(() => remove());

function at(place: number): ServerProcess {
  const server = servers[place % servers.length];
  if (server === undefined) throw new Error("no server");
  return server;
}

async function signIn(party: Omit<Party, "id">): Promise<Caller> {
  const client = installation.clientAt(at(0), party);
  const target = { resource: `${installation.issuer}/v1`, scope: "admin" };
  return { ...party, accessToken: (await client.requestToken(target)).access_token };
}

interface Where {
  readonly server?: ServerProcess;
  readonly path?: string;
  readonly method?: "POST" | "PUT";
}

function post(caller: Caller, key: string, body: string, where: Where = {}) {
  const { server = at(0), path = "/v1/users", method = "POST" } = where;
  return callApi(installation, server, caller, {
    method,
    path,
    body,
    headers: { "idempotency-key": key },
  });
}

async function problemOf(response: Response) {
  return problemSchema.parse(await response.json());
}

async function usersNamed(name: string): Promise<number> {
  const operator = await installation.operatorAt(at(0));
  const { items } = await operator.perform(listUsers, { query: { limit: 200 } });
  return items.filter((user) => user.name === name).length;
}

describe("a request under a key", () => {
  test("[API-002] is done once: a repeat, through any server, gets the first answer octet for octet", async () => {
    const body = JSON.stringify({ name: "Once" });
    const done = await post(first, "once-1", body);
    const text = await done.text();
    expect([done.status, done.headers.get("idempotency-replayed")]).toEqual([201, null]);
    for (const [place, key] of ["once-1", '"once-1"', "once-1"].entries()) {
      const again = await post(first, key, body, { server: at(place) });
      expect(again.status).toBe(201);
      expect(again.headers.get("idempotency-replayed")).toBe("true");
      expect(again.headers.get("content-type")).toBe(done.headers.get("content-type"));
      expect(await again.text()).toBe(text);
    }
    expect(await usersNamed("Once")).toBe(1);
  });

  test("[API-002] is done once however many are sent at once, and whoever loses is told to wait or what became of it", async () => {
    const body = JSON.stringify({ name: "Race" });
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, place) => post(first, "race-1", body, { server: at(place) })),
    );
    const seen = new Set<string>();
    for (const answer of answers) {
      if (answer.status === 201) seen.add(await answer.text());
      else {
        expect(answer.headers.get("retry-after")).toBe("1");
        expect(await problemOf(answer)).toMatchObject({ status: 409, code: "idempotency_key_in_use" });
      }
    }
    expect(seen.size).toBe(1);
    expect(await usersNamed("Race")).toBe(1);
    expect([...seen]).toEqual([await (await post(first, "race-1", body)).text()]);
  });

  test("[API-002] that was refused has done nothing, and may be sent again", async () => {
    const { publicJwk } = await makeKeyPair();
    const unknown = { owner: "usr_01arz3ndektsv4rrffq69g5fav", name: "a", jwk: publicJwk };
    const refused = await post(first, "again-1", JSON.stringify(unknown), { path: "/v1/agents" });
    expect(refused.status).toBe(404);
    const { id } = userCreatedSchema.parse(await (await post(first, "owner-1", '{"name":"Owner"}')).json());
    const known = JSON.stringify({ ...unknown, owner: id });
    const done = await post(first, "again-1", known, { path: "/v1/agents" });
    expect([done.status, done.headers.get("idempotency-replayed")]).toEqual([201, null]);
  });

  test.each(["", "two words", 'half"', "a\tb", "é", "x".repeat(129), '"', "a, b"])(
    "is refused for the key %j",
    async (key) => {
      const refused = await post(first, key, '{"name":"Never"}');
      expect(await problemOf(refused)).toMatchObject({ status: 400, code: "invalid_request" });
    },
  );
});

describe("a key", () => {
  test("[API-003] of another principal finds nothing: a thief who knows key and request is neither told nor in the way", async () => {
    const body = JSON.stringify({ name: "Stolen", email: "alice@mail.example" });
    const own = userCreatedSchema.parse(await (await post(first, "stolen-1", body)).json());
    const thief = await post(second, "stolen-1", body);
    expect([thief.status, thief.headers.get("idempotency-replayed")]).toEqual([201, null]);
    expect(userCreatedSchema.parse(await thief.json()).id).not.toBe(own.id);
    const other = await post(second, "stolen-1", JSON.stringify({ name: "Other" }));
    expect((await problemOf(other)).code).toBe("idempotency_key_reused");
    const again = await post(first, "stolen-1", body);
    expect(userCreatedSchema.parse(await again.json())).toEqual(own);
  });

  test("[API-003] taken in advance by another keeps nobody from using it", async () => {
    expect((await post(second, "squat-1", '{"name":"Squatter"}')).status).toBe(201);
    expect((await post(first, "squat-1", '{"name":"Rightful"}')).status).toBe(201);
  });

  test("[API-003] stands for one request: with another body, path or query it is refused, and nothing is done", async () => {
    const body = JSON.stringify({ name: "Meant" });
    expect((await post(first, "meant-1", body)).status).toBe(201);
    const others = [
      post(first, "meant-1", JSON.stringify({ name: "Changed" })),
      post(first, "meant-1", body, { path: "/v1/users?x=1" }),
      post(first, "meant-1", JSON.stringify({ purpose: "token" }), { path: "/v1/keys/rotate" }),
    ];
    for (const answer of await Promise.all(others))
      expect(await problemOf(answer)).toMatchObject({ status: 422, code: "idempotency_key_reused" });
    expect([await usersNamed("Meant"), await usersNamed("Changed")]).toEqual([1, 0]);
  });

  test("[API-003] keeps its answer sealed: the database alone gives nothing away, and no row serves in another's place", async () => {
    const body = JSON.stringify({ name: "Sealed", email: "sealed@mail.example" });
    expect((await post(first, "sealed-1", body)).status).toBe(201);
    expect((await post(second, "sealed-1", JSON.stringify({ name: "Else" }))).status).toBe(201);
    const { dataDir } = installation;
    const found = "count(*)::int AS all, sum(position('@mail.example'::bytea IN sealed))::int AS readable";
    const [row] = await sqlOf(dataDir, `SELECT ${found} FROM idempotency_key WHERE sealed IS NOT NULL`);
    expect(row).toMatchObject({ all: expect.any(Number), readable: 0 });
    expect(Number(row?.["all"])).toBeGreaterThan(2);
    await sqlOf(
      dataDir,
      `UPDATE idempotency_key own SET sealed = other.sealed, request_hash = other.request_hash
       FROM idempotency_key other WHERE own.key = 'sealed-1' AND other.key = 'sealed-1'
       AND own.principal_id <> other.principal_id`,
    );
    expect(await problemOf(await post(second, "sealed-1", body))).toMatchObject({
      status: 500,
      code: "internal",
    });
  });

  test("[API-003] keeps no answer that holds a secret: a repeat is told where it is recorded, and the secret stays one", async () => {
    const owner = userCreatedSchema.parse(await (await post(first, "owner-2", '{"name":"Owner"}')).json()).id;
    const { publicJwk: jwk } = await makeKeyPair();
    const operator = await installation.operatorAt(at(0));
    const { id } = await operator.perform(createAgent, { body: { owner, name: "old", jwk } });
    const body = JSON.stringify({ compat: true, token_endpoint_auth_method: "client_secret_basic" });
    const set = () => post(first, "secret-1", body, { path: `/v1/clients/${id}`, method: "PUT" });
    const { client_secret: secret, ledger } = clientChangedSchema.parse(await (await set()).json());
    expect(secret).toBeDefined();
    const again = await problemOf(await set());
    const detail = expect.stringContaining(`at index ${ledger.index} of the log ${ledger.log}`);
    expect(again).toMatchObject({ status: 409, code: "conflict", detail });
    const [row] = await sqlOf(
      installation.dataDir,
      "SELECT sealed FROM idempotency_key WHERE key = 'secret-1'",
    );
    expect(row).toEqual({ sealed: null });
  });

  test("[API-002] rotates the signing keys once", async () => {
    const rotate = () => post(first, "rotate-1", "{}", { path: "/v1/keys/rotate" });
    const text = await (await rotate()).text();
    expect(await (await rotate()).text()).toBe(text);
  });
});
