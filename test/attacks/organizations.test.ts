import { authorizeAction } from "@countersign/sdk/client/actions";
import { makeKeyPair, type PrivateJwk } from "@countersign/sdk/client/key-pair";
import { readServerSentEvents } from "@countersign/sdk/client/server-sent-events";
import { accessTokenType } from "@countersign/sdk/contract/access-token";
import { createAgent, suspendAgent } from "@countersign/sdk/contract/agents";
import { createDelegation, revokeDelegation } from "@countersign/sdk/contract/delegations";
import { createEntry } from "@countersign/sdk/contract/entries";
import { createJoinToken } from "@countersign/sdk/contract/nodes";
import { thingOf } from "@countersign/sdk/contract/operation";
import { operations } from "@countersign/sdk/contract/operations";
import { createResource } from "@countersign/sdk/contract/resources";
import { listRevocations } from "@countersign/sdk/contract/revocations";
import { listSigningKeys } from "@countersign/sdk/contract/signing-keys";
import { revokeToken } from "@countersign/sdk/contract/tokens";
import { createTrustedIssuer, mapSubject } from "@countersign/sdk/contract/trusted-issuers";
import { createUser } from "@countersign/sdk/contract/users";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRouter, type HttpFaceDeps } from "../../src/http/http-face.ts";
import { audience, callApi, exchangeOf, isActive, narrow, signedForm } from "../chaos/cast.ts";
import { sqlOf } from "../chaos/postgres.ts";
import { attestBody, callAt } from "../e2e/node-stage.ts";
import { refusing } from "../http/face.ts";
import { depsFor, freePort, type Party } from "../server.ts";
import { plantOrganization } from "./another-organization.ts";
import { bodiesOf, type Material, pathsOf, queriesOf } from "./every-operation.ts";
import { openStage, redemptionOf, type Signer, type Stage } from "./stage.ts";

// One organization that knows every id of another, and asks for each of them everywhere.
const removals: (() => Promise<void>)[] = [];
/** What people of the first organization are called: no other text may ever hold it. */
const secret = "Kassiopeia";
let stage: Stage;
let agent: Party;
let token: string;
let origin: string;
let rivalDelegation: string;
/** What the first one has revoked, and where. */
let revoked: { readonly id: string; readonly index: number };
/** Where the last revocation of the other is recorded. */
let rivalRevocation: number;
/** Whom the other organization has. */
let rivals: Readonly<Record<"operator" | "agent" | "resource", Signer & { readonly accessToken: string }>>;
/** All that the first one has. */
let material: Material;
let traces: readonly string[];
beforeAll(async () => {
  const port = await freePort();
  stage = await openStage((remove) => removals.push(remove), { COUNTERSIGN_MTLS_PORT: String(port) });
  const { cast, installation } = stage;
  await cast.operator.perform(createUser, { body: { name: secret, email: `${secret}@mail.example` } });
  agent = await cast.createAgent(secret);
  const tool = await cast.createAgent(secret);
  const root = await cast.grant(agent);
  const child = await narrow(stage.clientOf(agent), root, tool);
  token = (await stage.clientOf(agent).redeemDelegation({ delegation: root, resource: audience }))
    .access_token;
  await act(agent, token);
  const issuer = { issuer: "https://ci.example" };
  const trusted = await cast.operator.perform(createTrustedIssuer, { body: issuer });
  const mapping = { subject: "job", agent: agent.id };
  await cast.operator.perform(mapSubject, { params: { id: trusted.id }, body: mapping });
  const { ledger } = await cast.operator.perform(revokeDelegation, { params: { id: child } });
  const entry = { agent: agent.id, selectors: ["unix:uid:4242"] };
  await cast.operator.perform(createEntry, { body: entry });
  await sqlOf(
    installation.dataDir,
    `INSERT INTO policy_proposal SELECT 'prp_01arz3ndektsv4rrffq69g5fav', organization_id, 2, hash, hash, '${secret}',
       (SELECT min(id) FROM operator WHERE organization_id = 'default'), 'x', now(), 'open'
     FROM policy_applied WHERE organization_id = 'default' AND number = 1`,
  );
  const keys = await cast.operator.perform(listSigningKeys, { query: { limit: 200 } });
  const authority = keys.items.find(({ purpose }) => purpose === "x509_authority")?.id ?? "";
  const { token: joinToken } = await cast.operator.perform(createJoinToken, { body: { name: "machine" } });
  const attested = await callAt(`https://127.0.0.1:${port}`, "/v1/node/attest", attestBody(joinToken));
  if (attested.status !== 200) throw new Error("no node");
  origin = `${new URL(installation.issuer).host}/log/default`;
  const rows = await rowsOf("default");
  const ids = [...new Set(rows.join("\n").match(/\b[a-z]{3}_[0-7][0-9a-z]{25}\b/g))];
  traces = [...ids, secret, audience, origin];
  material = {
    texts: [...ids, audience, "someone@mail.example", "0", String(ledger.index), authority, "5e".repeat(32)],
    jwk: withoutPrivate(agent.key),
  };
  const rival = await plantOrganization(installation, "rival");
  rivals = await makeRivals(rival);
  revoked = { id: child, index: ledger.index };
  rivalRevocation = await revokeBeyond(rival, ledger.index);
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

const withoutPrivate = ({ d: _, ...jwk }: PrivateJwk) => jwk;
const deps = () => depsFor(stage.installation.issuer, stage.at(0));

/** An agent asks for leave to act, as a thing of its organization that has an id. */
async function act({ clientId, key }: Party, accessToken: string): Promise<void> {
  const identity = { issuer: stage.installation.issuer, clientId, key };
  const answer = await authorizeAction(deps(), identity, accessToken, {
    action: "read",
    scope: ["mail.read"],
  });
  if (answer.decision !== "allow") throw new Error("no leave");
}

async function makeRivals(operator: Signer): Promise<typeof rivals> {
  const client = stage.clientOf(operator);
  const { id: owner } = await client.perform(createUser, { body: { name: "Bob" } });
  const [agent, resource] = [await makeKeyPair(), await makeKeyPair()];
  const made = await client.perform(createAgent, { body: { owner, name: "rival", jwk: agent.publicJwk } });
  const rivalAudience = "https://rival.example/";
  const server = await client.perform(createResource, {
    body: { audience: rivalAudience, scope: ["mail.read"], owner, jwk: resource.publicJwk },
  });
  const body = { from_user: owner, to_agent: made.id, resource: rivalAudience, scope: ["mail.read"] };
  rivalDelegation = (await client.perform(createDelegation, { body })).id;
  // Without naming a scope: whatever policy lets each have.
  const signIn = (party: Signer) => stage.signIn(party, "");
  return {
    operator: await signIn(operator),
    agent: await signIn({ clientId: made.client_id, key: agent.privateJwk }),
    resource: await signIn({ clientId: server.client_id, key: resource.privateJwk }),
  };
}

interface Place {
  readonly id: string;
  readonly index: number;
}

/** Lets the rival's log grow beyond an index at which the other one has a revocation, and revokes something only there. */
async function revokeBeyond(rival: Signer, index: number): Promise<number> {
  const client = stage.clientOf(rival);
  const newUser = () => client.perform(createUser, { body: { name: "Bob" } });
  let owner = await newUser();
  while (owner.ledger.index <= index) owner = await newUser();
  const { publicJwk } = await makeKeyPair();
  const body = { owner: owner.id, name: "short", jwk: publicJwk };
  const { id } = await client.perform(createAgent, { body });
  return (await client.perform(suspendAgent, { params: { id } })).ledger.index;
}

/** Every row that belongs to an organization, and its log; but for what follows the log by itself. */
async function rowsOf(organization: string): Promise<readonly string[]> {
  const { dataDir } = stage.installation;
  const owned = await sqlOf(
    dataDir,
    `SELECT table_name AS name, column_name AS by FROM information_schema.columns
     WHERE table_schema = 'public' AND column_name IN ('organization_id', 'log_id') AND table_name NOT IN ('log', 'agent_entry', 'follower_cursor') ORDER BY 1, 2`,
  );
  const read = owned.map(({ name, by }) =>
    sqlOf(dataDir, `SELECT t::text AS row FROM "${name}" t WHERE "${by}" = '${organization}' ORDER BY 1`),
  );
  return (await Promise.all(read)).flat().map(({ row }) => String(row));
}

const methods = { get: "GET", post: "POST", put: "PUT", patch: "PATCH", delete: "DELETE" } as const;

/** What an answer tells of the first organization beyond what the request itself named. */
const told = (answer: string, asked: string) =>
  traces.filter(
    (trace) => answer.includes(trace) && !asked.includes(trace) && !asked.includes(encodeURIComponent(trace)),
  );

describe("[ORG-001] what one organization asks for of another", () => {
  test.each(operations.map((operation) => [operation.name, operation] as const))(
    "by %s tells nothing of it and changes nothing in it",
    async (_name, operation) => {
      const before = await rowsOf("default");
      const method = methods[operation.method];
      const bodies =
        operation.body === undefined
          ? [undefined]
          : bodiesOf(operation, material).map((body) => JSON.stringify(body));
      // By its jti a token is revoked whether it is there or not: for one's own organization.
      const isBlind = operation === revokeToken;
      for (const path of pathsOf(operation, material)) {
        for (const asked of queriesOf(operation, material).map((query) => `${path}${query}`)) {
          for (const body of bodies) {
            for (const answer of await askAll({ method, path: asked, ...(body !== undefined && { body }) })) {
              expect(answer.told).toEqual([]);
              expect(answer.status, answer.text).toBeLessThan(500);
              // What is not one's own is as what is not there.
              if (thingOf(operation) !== undefined && !isBlind)
                expect(answer.status).toBeGreaterThanOrEqual(400);
            }
          }
        }
      }
      expect(await rowsOf("default")).toEqual(before);
    },
  );

  test("by its log gets no more than any stranger does: checkpoints and proofs", async () => {
    const paths = logRoutes().flatMap((route) => logs.map((log) => logPath(route, log)));
    expect(paths.length).toBeGreaterThanOrEqual(14);
    for (const path of paths) {
      const stranger = await fetch(`${stage.at(0).url}${path}`);
      const text = await stranger.text();
      for (const answer of await askAll({ method: "GET", path })) {
        expect(answer.told.filter((trace) => trace !== origin)).toEqual([]);
        if (stranger.ok) expect([path, answer.text]).toEqual([path, text]);
        else expect([path, answer.status >= 400]).toEqual([path, true]);
      }
    }
  });

  test("by its tokens and handles gets nothing at any OAuth endpoint, and ends none of them", async () => {
    const { installation, at } = stage;
    const before = await rowsOf("default");
    const handles = material.texts.filter((text) => text.startsWith("dlg_"));
    const asActor = { actor_token: token, actor_token_type: accessTokenType };
    const asked = [
      ...handles.map((handle) => ["/token", exchangeOf(handle)] as const),
      ["/token", redemptionOf(token)],
      ["/token", { ...redemptionOf(token), resource: "https://rival.example/" }],
      ["/token", { ...exchangeOf(rivalDelegation), resource: "https://rival.example/", ...asActor }],
      ["/token", { grant_type: "client_credentials", resource: audience, scope: "mail.read" }],
      ["/introspect", { token }],
      ["/revoke", { token }],
    ] as const;
    for (const rival of Object.values(rivals)) {
      for (const [path, parameters] of asked) {
        const body = await signedForm(installation, rival, parameters);
        const text = await (await fetch(`${at(0).url}${path}`, { method: "POST", body })).text();
        expect([path, told(text, body.toString())]).toEqual([path, []]);
        expect(text).not.toContain('access_token":');
        if (path === "/introspect") expect(JSON.parse(text)).toEqual({ active: false });
      }
    }
    expect(await rowsOf("default")).toEqual(before);
    expect(await isActive(installation, at(0), stage.cast.mailbox, token)).toBe(true);
  });

  test("by a client id of it under its own name, or the other way round, is nobody", async () => {
    const swapped = (party: Signer, from: string, to: string) => ({
      ...party,
      clientId: party.clientId.replace(`/org/${from}/`, `/org/${to}/`),
    });
    const own = {
      grant_type: "client_credentials",
      resource: `${stage.installation.issuer}/v1`,
      scope: "delegate",
    };
    const attempts = [swapped(rivals.agent, "rival", "default"), swapped(agent, "default", "rival")];
    for (const attempt of attempts) expect((await stage.ask(attempt, own)).status).toBe(401);
  });

  test("[REV-005] by its revocations, listed or streamed from the first on, tells of its own only", async () => {
    const { installation, at } = stage;
    // A planted log has no key that could sign a checkpoint; what one would cover is said here.
    await sqlOf(installation.dataDir, "UPDATE log SET published_size = next_index WHERE id = 'rival'");
    expect(rivalRevocation).toBeGreaterThan(revoked.index);
    const request = { method: "GET", path: listRevocations.path } as const;
    const streaming = { ...request, headers: { accept: "text/event-stream", "last-event-id": "0" } };
    for (const rival of [rivals.operator, rivals.resource]) {
      const listed = JSON.parse(await (await callApi(installation, at(0), rival, request)).text());
      const told = listed.items.map(({ id, index }: Place) => `${id} ${index}`);
      expect(told.join()).not.toContain(revoked.id);
      const own = told.findIndex((place: string) => place.endsWith(` ${rivalRevocation}`));
      expect(own).toBeGreaterThanOrEqual(0);
      const { body } = await callApi(installation, at(0), rival, streaming);
      if (body === null) throw new Error("no stream");
      const streamed: string[] = [];
      for await (const { name, data } of readServerSentEvents(body)) {
        if (name !== "revocation") continue;
        const { id, index }: Place = JSON.parse(data);
        streamed.push(`${id} ${index}`);
        if (index === rivalRevocation) break;
      }
      expect(streamed).toEqual(told.slice(0, own + 1));
    }
  });
});

/** Asks as each of the rivals; what each answer tells of the first organization. */
async function askAll(request: Parameters<typeof callApi>[3]) {
  const asking = Object.values(rivals).map(async (rival) => {
    const response = await callApi(stage.installation, stage.at(0), rival, request);
    const text = await response.text();
    return { status: response.status, text, told: told(text, `${request.path}${request.body ?? ""}`) };
  });
  return Promise.all(asking);
}

const logs = ["default", "system"];

function logRoutes(): readonly string[] {
  const { stack } = createRouter(refusing<HttpFaceDeps>({}));
  return stack.flatMap(({ route }) => (route?.path.startsWith("/log/") ? [route.path] : []));
}

function logPath(route: string, log: string): string {
  const path = route
    .replace(":log", log)
    .replace(":index", "0")
    .replace("*path", "0/000.p/1")
    .replace(/consistency$/, "consistency?from=1&to=2");
  if (/[:*]/.test(path)) throw new Error(`nothing here fits the parameters of ${route}`);
  return path;
}
