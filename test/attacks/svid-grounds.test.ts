import { X509Certificate } from "node:crypto";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { signDpopProof } from "@countersign/sdk/client/sign";
import { accessTokenType, delegationTokenType } from "@countersign/sdk/contract/access-token";
import { approveAgentChecksum } from "@countersign/sdk/contract/agent-configuration";
import { createAgent, resumeAgent, suspendAgent } from "@countersign/sdk/contract/agents";
import { createDelegation } from "@countersign/sdk/contract/delegations";
import { createEntry, deleteEntry } from "@countersign/sdk/contract/entries";
import { createJoinToken, evictNode, readmitNode } from "@countersign/sdk/contract/nodes";
import { parseId } from "@countersign/sdk/model/ids";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { JWTSVIDResponse, X509SVIDResponse } from "../../src/workload-api/generated/workload.ts";
import { audience, exchangeOf, scope, signedForm } from "../chaos/cast.ts";
import { sqlOf } from "../chaos/postgres.ts";
import {
  attestBody,
  type NodeProcess,
  type NodeStage,
  openNodeStage,
  type Shown,
  self,
} from "../e2e/node-stage.ts";
import { depsFor, type Party, until } from "../server.ts";
import { ask, read, security } from "../workload-api/socket.ts";

// Who keeps the keys of SVIDs that are still valid, after what they were issued on is gone: the administrator of an evicted
// machine, a workload without an entry, a configuration that nobody approves any more.
let stage: NodeStage;
let broker: Party;
beforeAll(async () => {
  stage = await openNodeStage();
  broker = await stage.cast.createAgent("broker");
});
afterAll(() => stage.close());

/** A machine with a workload that holds SVIDs of both kinds, and may redeem a delegation and a token of the broker's. */
interface Held {
  readonly node: NodeProcess;
  readonly agent: string;
  readonly spiffeId: string;
  readonly entry: string;
  readonly delegation: string;
  readonly onward: string;
  readonly jwt: string;
  readonly x509: Shown;
}

async function hold(): Promise<Held> {
  const { operator, alice } = stage.cast;
  const node = await stage.joinNode();
  const { id: agent, spiffe_id: spiffeId } = await operator.perform(createAgent, {
    body: { owner: alice, name: "keyless", kind: "worker" },
  });
  const parent = parseId("node", node.id) ?? expect.unreachable();
  const { id: entry } = await operator.perform(createEntry, { body: { agent, selectors: [self], parent } });
  const api = stage.apiOf(node);
  const toIssuer = () =>
    ask<JWTSVIDResponse>((respond) =>
      api.fetchJwtsvid({ audience: [stage.installation.issuer], spiffeId }, security, respond),
    );
  await until("a JWT-SVID", () =>
    toIssuer().then(
      () => true,
      () => false,
    ),
  );
  const jwt = (await toIssuer()).svids[0]?.svid ?? expect.unreachable();
  const stream = read(api.fetchX509Svid({}, security));
  const x509 = shownOf(await stream.next());
  stream.cancel();
  const grant = { from_user: alice, resource: audience, scope: [scope] };
  const delegation = (await operator.perform(createDelegation, { body: { ...grant, to_agent: agent } })).id;
  const onwardTo = [{ agent, resource: audience, scope: [scope] }];
  const listing = { ...grant, to_agent: broker.id, max_depth: 3, onward: onwardTo };
  const listed = (await operator.perform(createDelegation, { body: listing })).id;
  const onward = await tokenOf(listed);
  return { node, agent, spiffeId, entry, delegation, onward, jwt, x509 };
}

function shownOf({ svids }: X509SVIDResponse): Shown {
  const [svid] = svids;
  if (svid === undefined) return expect.unreachable();
  const pem = (label: string, der: Uint8Array) =>
    `-----BEGIN ${label}-----\n${Buffer.from(der).toString("base64")}\n-----END ${label}-----\n`;
  return { cert: pem("CERTIFICATE", svid.x509Svid), key: pem("PRIVATE KEY", svid.x509SvidKey) };
}

/** The broker's own token of a delegation that lists another onward. */
async function tokenOf(delegation: string): Promise<string> {
  const body = await signedForm(stage.installation, broker, exchangeOf(delegation));
  const response = await post(body, await proofBy(broker.key));
  return String(response["access_token"]);
}

const proofBy = (key: Party["key"]) => {
  const { issuer } = stage.installation;
  const deps = depsFor(issuer, stage.server.current);
  return signDpopProof(deps, { key, method: "POST", url: `${issuer}/token` });
};

async function post(body: URLSearchParams, DPoP: string): Promise<Record<string, unknown>> {
  const url = `${stage.server.current.url}/token`;
  const response = await fetch(url, { method: "POST", body, headers: { DPoP } });
  return (await response.json()) as Record<string, unknown>;
}

const exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
const target = { resource: audience, scope };
const grants = {
  "for itself": (_: Held) => ({ grant_type: "client_credentials" }),
  "by its delegation": ({ delegation }: Held) => ({
    grant_type: exchange,
    subject_token: delegation,
    subject_token_type: delegationTokenType,
    ...target,
  }),
  "by another's token, onward": ({ onward }: Held) => ({
    grant_type: exchange,
    subject_token: onward,
    subject_token_type: accessTokenType,
    ...target,
  }),
} as const;
type GrantName = keyof typeof grants;

const keys = new WeakMap<Held, Party["key"]>();

/** The `error` that both ways answer by each grant, or OK. */
async function bought(held: Held): Promise<Record<string, unknown>> {
  const key = keys.get(held) ?? (await makeKeyPair()).privateJwk;
  keys.set(held, key);
  const answers: Record<string, unknown> = {};
  for (const name of Object.keys(grants) as GrantName[]) {
    const form = new URLSearchParams(grants[name](held));
    const byJwt = new URLSearchParams(form);
    byJwt.set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe");
    byJwt.set("client_assertion", held.jwt);
    answers[`jwt ${name}`] = (await post(byJwt, await proofBy(key)))["error"] ?? "OK";
    form.set("client_id", held.spiffeId);
    answers[`x509 ${name}`] = (await stage.call("/token", form, held.x509)).json["error"] ?? "OK";
  }
  return answers;
}

const all = (answer: string) =>
  Object.fromEntries(
    Object.keys(grants).flatMap((name) => ["jwt", "x509"].map((kind) => [`${kind} ${name}`, answer])),
  );

const serialOf = ({ x509 }: Held) => new X509Certificate(x509.cert).serialNumber.toLowerCase();
const jtiOf = ({ jwt }: Held) => decodeJwt(jwt).jti ?? expect.unreachable();

async function lastRefusal(): Promise<unknown> {
  return (await stage.entriesOf("token.refused")).at(-1);
}

describe("[SVI-020] an SVID that has not ended buys nothing once what it rests on is gone", () => {
  test("its node was evicted: by no grant, and the ledger says why", async () => {
    const held = await hold();
    expect(await bought(held)).toEqual(all("OK"));
    await stage.cast.operator.perform(evictNode, { params: { id: held.node.id } });
    expect(await bought(held)).toEqual(all("invalid_client"));
    expect(await lastRefusal()).toMatchObject({
      agent: held.agent,
      attestation: "measured",
      refusal: { code: "unauthenticated", reason: expect.stringContaining(held.node.id) },
    });
    for (const path of ["/introspect", "/revoke"]) {
      const asked = new URLSearchParams({ client_id: held.spiffeId, token: held.onward });
      const { status, json } = await stage.call(path, asked, held.x509);
      expect([path, status, json["error"]]).toEqual([path, 401, "invalid_client"]);
    }
  });

  test("its entry was deleted", async () => {
    const held = await hold();
    await stage.cast.operator.perform(deleteEntry, { params: { id: held.entry } });
    expect(await bought(held)).toEqual(all("invalid_client"));
    expect(await lastRefusal()).toMatchObject({
      refusal: { code: "unauthenticated", reason: expect.stringContaining(held.entry) },
    });
  });

  test("its agent may have other configurations only by now", async () => {
    const held = await hold();
    const body = { checksum: "c".repeat(64) };
    await stage.cast.operator.perform(approveAgentChecksum, { params: { id: held.agent }, body });
    expect(await bought(held)).toEqual(all("invalid_client"));
    expect(await lastRefusal()).toMatchObject({ refusal: { code: "unauthenticated" } });
  });
});

describe("an SVID that ended by what happened since stays dead", () => {
  const nodeOf = (held: Held) => parseId("node", held.node.id) ?? expect.unreachable();
  const stopped = (id: string) => ({
    refusal: { code: "unauthenticated", reason: expect.stringContaining(id) },
  });

  test("[SVI-040] once its node was evicted and is let in again", async () => {
    const held = await hold();
    const id = nodeOf(held);
    expect(await bought(held)).toEqual(all("OK"));
    await stage.cast.operator.perform(evictNode, { params: { id } });
    await stage.cast.operator.perform(readmitNode, { params: { id } });
    expect(await bought(held)).toEqual(all("invalid_client"));
    expect(await lastRefusal()).toMatchObject(stopped(id));
  });

  test("[SVI-040] once its node's machine joined anew, by a token of which none from before is good any more", async () => {
    const held = await hold();
    const id = nodeOf(held);
    const tokenFor = async () =>
      (await stage.cast.operator.perform(createJoinToken, { body: { name: "n", node: id } })).token;
    const [token, older] = [await tokenFor(), await tokenFor()];
    expect(await stage.call("/v1/node/attest", attestBody(token))).toMatchObject({ status: 200 });
    expect(await bought(held)).toEqual(all("invalid_client"));
    expect(await lastRefusal()).toMatchObject(stopped(id));
    const again = await stage.call("/v1/node/attest", attestBody(older));
    expect([again.status, again.json["code"]]).toEqual([403, "not_attested"]);
  });

  test("[SVI-041] once its agent was stopped and goes on", async () => {
    const held = await hold();
    const id = parseId("agent", held.agent) ?? expect.unreachable();
    expect(await bought(held)).toEqual(all("OK"));
    await stage.cast.operator.perform(suspendAgent, { params: { id } });
    await stage.cast.operator.perform(resumeAgent, { params: { id } });
    expect(await bought(held)).toEqual(all("invalid_client"));
    expect(await lastRefusal()).toMatchObject(stopped(id));
  });
});

describe("[SVI-021] an SVID that our authority signed and no record tells of buys nothing", () => {
  test("neither by a number that was never given out, nor by one of another SVID", async () => {
    const held = await hold();
    const { dataDir } = stage.installation;
    const numbers = `'${serialOf(held)}', '${jtiOf(held)}'`;
    const kept = await sqlOf(dataDir, `SELECT id, agent_id, node_id FROM svid WHERE id IN (${numbers})`);
    expect(kept).toHaveLength(2);
    expect(kept).toEqual(
      Array(2).fill(expect.objectContaining({ agent_id: held.agent, node_id: held.node.id })),
    );
    await sqlOf(dataDir, `UPDATE svid SET claims_hash = 'another' WHERE id IN (${numbers})`);
    expect(await bought(held)).toEqual(all("invalid_client"));
    await sqlOf(dataDir, `DELETE FROM svid WHERE id IN (${numbers})`);
    expect(await bought(held)).toEqual(all("invalid_client"));
    expect(await lastRefusal()).toMatchObject({
      agent: held.agent,
      refusal: { code: "unauthenticated", reason: "no record tells of this SVID" },
    });
  });
});
