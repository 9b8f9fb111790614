import { makeKeyPair, type PrivateJwk } from "@countersign/sdk/client/key-pair";
import { signDpopProof } from "@countersign/sdk/client/sign";
import { approveAgentChecksum, withdrawAgentChecksum } from "@countersign/sdk/contract/agent-configuration";
import { createAgent, retireAgent } from "@countersign/sdk/contract/agents";
import { createTrustedIssuer, mapSubject, unmapSubject } from "@countersign/sdk/contract/trusted-issuers";
import { agentChecksum } from "@countersign/sdk/model/agent-configuration";
import { calculateJwkThumbprint, decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { sqlOf } from "../chaos/postgres.ts";
import { type OidcIssuer, startOidcIssuer } from "../oidc-issuer.ts";
import { depsFor, type Party } from "../server.ts";
import { codeOf, openStage, type Stage } from "./stage.ts";

// A platform whose word is trusted: which configurations of an agent it lets in, and how many agents it makes.
const bearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const byAssertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const removals: (() => unknown)[] = [];
let stage: Stage;
let key: PrivateJwk;

beforeAll(async () => {
  stage = await openStage((remove) => removals.push(remove), { COUNTERSIGN_LOOPBACK_ISSUERS: "allow" }, 2);
  key = (await makeKeyPair()).privateJwk;
});
afterAll(async () => {
  for (const remove of removals) await remove();
});

/** A platform that Alice's organization trusts. */
async function platform(more: object = {}): Promise<OidcIssuer & { readonly id: string }> {
  const issuer = await startOidcIssuer(`${stage.installation.issuer}/org/default`);
  removals.push(issuer.close);
  const body = { issuer: issuer.url, ...more };
  const { id } = await stage.cast.operator.perform(createTrustedIssuer, { body });
  return Object.assign(issuer, { id });
}

const answerSchema = z.looseObject({ access_token: z.string().optional(), error: z.string().optional() });

async function ask(parameters: Record<string, string>, place = 0) {
  const { issuer } = stage.installation;
  const dpop = await signDpopProof(depsFor(issuer, stage.at(place)), {
    key,
    method: "POST",
    url: `${issuer}/token`,
  });
  const body = new URLSearchParams(parameters);
  const response = await fetch(`${stage.at(place).url}/token`, { method: "POST", headers: { dpop }, body });
  return { status: response.status, ...answerSchema.parse(await response.json()) };
}

/** What is answered to an assertion, in short. */
async function told(assertion: Promise<string>, place = 0): Promise<string> {
  const { status, error = "token" } = await ask({ grant_type: bearer, assertion: await assertion }, place);
  return `${status} ${error}`;
}

describe("[TRU-032] a configuration that the platform signs has to be one that the owner approved", () => {
  const configuration = { model: "model-1", prompt_sha256: "a".repeat(64), tools_sha256: "b".repeat(64) };
  const checksum: string = agentChecksum(configuration);
  const other = "c".repeat(64);
  const approve = (agent: Party, text: string) =>
    stage.cast.operator.perform(approveAgentChecksum, { params: { id: agent.id }, body: { checksum: text } });

  async function deployed(checksum_claims: readonly string[]) {
    const issuer = await platform({ checksum_claims });
    const agent = await stage.cast.createAgent("deployed");
    const body = { subject: "deployed", agent: agent.id };
    await stage.cast.operator.perform(mapSubject, { params: { id: issuer.id }, body });
    const attempt = (claims: object = {}) => told(issuer.assertion({ sub: "deployed", ...claims }));
    return { issuer, agent, attempt };
  }

  test("by its checksum: none and another are refused, until the owner approves", async () => {
    const { issuer, agent, attempt } = await deployed(["checksum"]);
    expect(await attempt()).toBe("200 token");
    await approve(agent, checksum);
    expect(await attempt({ checksum })).toBe("200 token");
    expect(await attempt()).not.toMatch(/token/);
    expect(await attempt({ checksum: other })).not.toMatch(/token/);
    expect(await attempt({ checksum: [checksum] })).not.toMatch(/token/);
    expect(await attempt({ checksum: checksum.toUpperCase() })).not.toMatch(/token/);
    const rows = await sqlOf(
      stage.installation.dataDir,
      `SELECT entry FROM ledger_entry WHERE entry::json->>'type' = 'token.refused' AND entry LIKE '%${other}%'`,
    );
    expect(rows).toHaveLength(1);
    await approve(agent, other);
    expect(await attempt({ checksum: other })).toBe("200 token");
    const params = { id: agent.id, checksum };
    await stage.cast.operator.perform(withdrawAgentChecksum, { params });
    expect(await attempt({ checksum })).not.toMatch(/token/);
    const asClient = await ask({
      grant_type: "client_credentials",
      client_assertion_type: byAssertion,
      client_assertion: await issuer.assertion({ sub: "deployed", checksum }),
    });
    expect(asClient.access_token).toBeUndefined();
  });

  test("by its model, prompt and tools", async () => {
    const { agent, attempt } = await deployed(["model", "prompt_sha256", "tools_sha256"]);
    await approve(agent, checksum);
    expect(await attempt(configuration)).toBe("200 token");
    expect(await attempt({ ...configuration, model: "model-2" })).not.toMatch(/token/);
    expect(await attempt({ ...configuration, tools_sha256: undefined })).not.toMatch(/token/);
    expect(await attempt({ checksum })).not.toMatch(/token/);
  });

  test("a claim that no trust names says nothing", async () => {
    const { agent, attempt } = await deployed([]);
    await approve(agent, checksum);
    expect(await attempt({ checksum, ...configuration })).not.toMatch(/token/);
  });

  test("a trust names one claim, or three, or none", async () => {
    const operator = await stage.signIn(await stage.installation.operatorKey(), "admin");
    const body = JSON.stringify({ issuer: "https://ci.example", checksum_claims: ["a", "b"] });
    const { status } = await stage.call(operator, { method: "POST", path: "/v1/trusted-issuers", body });
    expect(status).toBe(400);
  });
});

describe("[TRU-033] a trust makes no more agents than it was given", () => {
  test("of ten new subjects at two servers three become agents, and they go on; what is retired makes room", async () => {
    const issuer = await platform({ max_agents: 3 });
    const { operator, alice: owner } = stage.cast;
    const params = { id: issuer.id };
    await operator.perform(mapSubject, { params, body: { provision: { owner } } });
    const subjects = Array.from({ length: 10 }, (_, place) => `branch-${place}`);
    const answers = await Promise.all(
      subjects.map((sub, place) =>
        issuer.assertion({ sub }).then((assertion) => ask({ grant_type: bearer, assertion }, place)),
      ),
    );
    const made = subjects.filter((_, place) => answers[place]?.status === 200);
    expect(made).toHaveLength(3);
    const counted = await sqlOf(
      stage.installation.dataDir,
      `SELECT agent_id FROM subject_mapping WHERE trusted_issuer_id = '${issuer.id}' AND agent_id IS NOT NULL`,
    );
    expect(counted).toHaveLength(3);
    for (const sub of made) expect(await told(issuer.assertion({ sub }))).toBe("200 token");
    expect(await told(issuer.assertion({ sub: "another" }))).not.toMatch(/token/);
    const refused = await sqlOf(
      stage.installation.dataDir,
      `SELECT entry FROM ledger_entry WHERE entry::json->>'type' = 'token.refused' AND entry LIKE '%${issuer.id}%'`,
    );
    expect(refused.length).toBeGreaterThan(0);
    const token = answers.find(({ status }) => status === 200)?.access_token ?? "";
    const { sub = "" } = decodeJwt(token);
    await operator.perform(retireAgent, { params: { id: sub.slice(sub.lastIndexOf("/") + 1) } });
    expect(await told(issuer.assertion({ sub: "another" }))).toBe("200 token");
  });

  test("one that may make none makes none", async () => {
    const issuer = await platform({ max_agents: 0 });
    const { operator, alice: owner } = stage.cast;
    await operator.perform(mapSubject, { params: { id: issuer.id }, body: { provision: { owner } } });
    expect(await told(issuer.assertion())).not.toMatch(/token/);
    expect(await codeOf(platform({ max_agents: -1 }))).toBe("invalid_request");
  });
});

describe("[TRU-040] an agent that a rule made is let in by what the rule says, every time", () => {
  const sub = "repo:acme/shop:environment:production";
  const [main, other] = [
    { sub, ref: "refs/heads/main" },
    { sub, ref: "refs/heads/other" },
  ];

  test("another branch of the same subject is refused, and the end of the rule ends it", async () => {
    const issuer = await platform();
    const { operator, alice: owner } = stage.cast;
    const params = { id: issuer.id };
    const ofMain = { claims: { ref: main.ref }, provision: { owner } };
    const rule = await operator.perform(mapSubject, { params, body: ofMain });
    expect(await told(issuer.assertion(other))).toBe("400 invalid_grant");
    const first = await agentOf(issuer.assertion(main));
    expect(await told(issuer.assertion(other))).toBe("400 invalid_grant");
    expect(await agentOf(issuer.assertion(main))).toBe(first);
    const ended = await operator.perform(unmapSubject, { params: { ...params, mapping: rule.id } });
    expect(ended).toMatchObject({ status: "unmapped", agents_cut_off: 1 });
    expect(await told(issuer.assertion(main))).toBe("400 invalid_grant");
    // Another rule is another decision: it makes agents of its own.
    await operator.perform(mapSubject, { params, body: ofMain });
    expect(await agentOf(issuer.assertion(main))).not.toBe(first);
  });

  test("what an operator says of the subject goes before what a rule made of it", async () => {
    const issuer = await platform();
    const { operator, alice: owner } = stage.cast;
    const params = { id: issuer.id };
    await operator.perform(mapSubject, {
      params,
      body: { claims: { ref: main.ref }, provision: { owner } },
    });
    await agentOf(issuer.assertion(main));
    const { id: agent } = await operator.perform(createAgent, {
      body: { owner, name: "shop", kind: "worker" },
    });
    await operator.perform(mapSubject, { params, body: { subject: sub, agent } });
    expect(await agentOf(issuer.assertion(main))).toContain(agent);
  });
});

describe("[TRU-041] an assertion that names a key is good for its holder alone", () => {
  test.each(["as the grant", "as a client assertion"])("%s", async (way) => {
    const issuer = await platform();
    const { operator, alice: owner } = stage.cast;
    const { id: agent } = await operator.perform(createAgent, {
      body: { owner, name: "bound", kind: "worker" },
    });
    await operator.perform(mapSubject, { params: { id: issuer.id }, body: { subject: "bound", agent } });
    const send = async (cnf: unknown) => {
      const assertion = await issuer.assertion({ sub: "bound", cnf });
      const byGrant = { grant_type: bearer, assertion };
      const byClient = {
        grant_type: "client_credentials",
        client_assertion_type: byAssertion,
        client_assertion: assertion,
      };
      const { status, error = "token" } = await ask(way === "as the grant" ? byGrant : byClient);
      return `${status} ${error}`;
    };
    const refused = way === "as the grant" ? "400 invalid_grant" : "401 invalid_client";
    const jkt = await calculateJwkThumbprint(key);
    expect(await send({ jkt })).toBe("200 token");
    expect(await send({ jkt: "A".repeat(43) })).toBe("400 invalid_dpop_proof");
    for (const cnf of [{}, null, jkt, { jkt: [jkt] }, { "x5t#S256": jkt }, { jkt, kid: "a" }])
      expect([cnf, await send(cnf)]).toEqual([cnf, refused]);
  });
});

/** The agent that an assertion gets a token for. */
async function agentOf(assertion: Promise<string>): Promise<string> {
  const { access_token } = await ask({ grant_type: bearer, assertion: await assertion });
  return String(decodeJwt(access_token ?? expect.unreachable()).sub);
}
