import { createHmac, createPublicKey } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { makeKeyPair, type PrivateJwk } from "@countersign/sdk/client/key-pair";
import { signDpopProof } from "@countersign/sdk/client/sign";
import { delegationTokenType } from "@countersign/sdk/contract/access-token";
import { resumeAgent, suspendAgent } from "@countersign/sdk/contract/agents";
import { createDelegation } from "@countersign/sdk/contract/delegations";
import {
  createTrustedIssuer,
  deleteTrustedIssuer,
  listSubjectMappings,
  mapSubject,
  unmapSubject,
} from "@countersign/sdk/contract/trusted-issuers";
import { createUser } from "@countersign/sdk/contract/users";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { audience as mail, scope as mailScope } from "../chaos/cast.ts";
import { sqlOf } from "../chaos/postgres.ts";
import { type IssuerKey, issuerKey, type OidcIssuer, startOidcIssuer } from "../oidc-issuer.ts";
import { otherSignature } from "../other-signature.ts";
import { depsFor, type Party } from "../server.ts";
import { plantOrganization } from "./another-organization.ts";
import { codeOf, openStage, type Signer, type Stage } from "./stage.ts";

// A CI system that lends its word to the jobs of everybody: what others can make of it, and what a job can.
const bearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const byAssertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const removals: (() => unknown)[] = [];
let stage: Stage;
let ci: OidcIssuer;
let trusted: string;
let rule: string;
let thief: PrivateJwk;
let stranger: IssuerKey;

beforeAll(async () => {
  stage = await openStage((remove) => removals.push(remove), { COUNTERSIGN_LOOPBACK_ISSUERS: "allow" }, 2);
  ci = await newIssuer();
  stranger = await issuerKey("first");
  thief = (await makeKeyPair()).privateJwk;
  ({ trusted, rule } = await trust(ci));
});
afterAll(async () => {
  for (const remove of removals) await remove();
});

async function newIssuer(): Promise<OidcIssuer> {
  const issuer = await startOidcIssuer(`${stage.installation.issuer}/org/default`);
  removals.push(issuer.close);
  return issuer;
}

/** What a token for Alice's organization is meant for. */
const ourAudience = () => `${stage.installation.issuer}/org/default`;
const tenant = { name: "repository_owner_id", value: "1234" };

/** Alice's organization trusts the issuer for its tenant, and makes an agent of Alice's of each subject. */
async function trust(issuer: OidcIssuer, more: object = {}): Promise<{ trusted: string; rule: string }> {
  const { operator, alice } = stage.cast;
  const body = { issuer: issuer.url, tenant_claim: tenant, ...more };
  const { id: trusted } = await operator.perform(createTrustedIssuer, { body });
  const params = { id: trusted };
  const { id: rule } = await operator.perform(mapSubject, { params, body: { provision: { owner: alice } } });
  return { trusted, rule };
}

const answerSchema = z.looseObject({
  access_token: z.string().optional(),
  error: z.string().optional(),
  error_description: z.string().optional(),
});

interface Sent {
  /** The key of the DPoP proof; null: none is sent. */
  readonly by?: PrivateJwk | null;
  readonly place?: number;
}

/** Asks the token endpoint. */
async function ask(parameters: Record<string, string>, { by = thief, place = 0 }: Sent = {}) {
  const { issuer } = stage.installation;
  const server = stage.at(place);
  const url = `${issuer}/token`;
  const headers: Record<string, string> =
    by === null
      ? {}
      : { dpop: await signDpopProof(depsFor(issuer, server), { key: by, method: "POST", url }) };
  const body = new URLSearchParams(parameters);
  const response = await fetch(`${server.url}/token`, { method: "POST", headers, body });
  return { status: response.status, ...answerSchema.parse(await response.json()) };
}

const present = (assertion: string, sent: Sent = {}, more: Record<string, string> = {}) =>
  ask({ grant_type: bearer, assertion, ...more }, sent);

/** What is answered to an assertion, in short. */
async function told(assertion: Promise<string> | string, sent: Sent = {}, more: Record<string, string> = {}) {
  const { status, error = "token" } = await present(await assertion, sent, more);
  return `${status} ${error}`;
}

/** The agent that a token is of. */
function agentOf({ access_token }: { readonly access_token?: string | undefined }): string {
  if (access_token === undefined) throw new Error("no token was issued");
  const { sub = "" } = decodeJwt(access_token);
  return sub.slice(sub.lastIndexOf("/") + 1);
}

const agentsOf = async (issuer: string, subject: string) =>
  sqlOf(
    stage.installation.dataDir,
    `SELECT a.id, a.name, a.owner_id FROM agent a JOIN subject_mapping m ON m.agent_id = a.id
     WHERE m.trusted_issuer_id = '${issuer}' AND m.subject = '${subject}'`,
  );

const nowSeconds = () => Math.floor(Date.now() / 1000);
const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

describe("[TRU-001] an assertion is accepted only as its issuer made it for here", () => {
  test("one that is as it should be gets a token that is bound to the key of its proof", async () => {
    const answer = await present(await ci.assertion());
    expect(answer.status).toBe(200);
    expect(decodeJwt(answer.access_token ?? "")).toMatchObject({
      sub_profile: "ai_agent",
      cnf: { jkt: expect.any(String) },
      aud: `${stage.installation.issuer}/v1`,
    });
  });

  const wrong: Record<string, () => Promise<string>> = {
    "another audience": () => ci.assertion({ aud: "https://sts.example" }),
    "this server, and no organization": () => ci.assertion({ aud: stage.installation.issuer }),
    "a list of audiences": () => ci.assertion({ aud: [ourAudience(), "https://sts.example"] }),
    "no audience": () => ci.assertion({ aud: undefined }),
    "another issuer": () => ci.assertion({ iss: "https://ci.example" }),
    "its issuer with a slash more": () => ci.assertion({ iss: `${ci.url}/` }),
    "another tenant": () => ci.assertion({ repository_owner_id: "1235" }),
    "no tenant": () => ci.assertion({ repository_owner_id: undefined }),
    "a tenant that is a list": () => ci.assertion({ repository_owner_id: ["1234"] }),
    expired: () => ci.assertion({ exp: nowSeconds() - 60 }),
    "without an end": () => ci.assertion({ exp: undefined }),
    "without a beginning": () => ci.assertion({ iat: undefined }),
    "from the future": () => ci.assertion({ iat: nowSeconds() + 120 }),
    "not valid yet": () => ci.assertion({ nbf: nowSeconds() + 120 }),
    "too old, though it has not expired": () =>
      ci.assertion({ iat: nowSeconds() - 900, exp: nowSeconds() + 3600 }),
    "of another type": () => ci.assertion({}, { typ: "at+jwt" }),
    "an ID-JAG": () => ci.assertion({}, { typ: "oauth-id-jag+jwt" }),
    "with a crit": () => ci.assertion({}, { crit: ["b64"], b64: true }),
    "without a kid": () => ci.assertion({}, { kid: undefined }),
    "by a stranger's key under the same name": () => ci.assertion({}, {}, stranger),
    "with control characters in its subject": () => ci.assertion({ sub: "repo:acme/app\nadmin" }),
    "with a subject that reads backwards": () => ci.assertion({ sub: "repo:\u202eacme" }),
    "with an empty subject": () => ci.assertion({ sub: "" }),
    "without a subject": () => ci.assertion({ sub: undefined }),
    "with an endless subject": () => ci.assertion({ sub: "s".repeat(513) }),
    "with an endless jti": () => ci.assertion({ jti: "j".repeat(257) }),
    "no JWT at all": async () => "a.b.c",
    "endlessly long": () => ci.assertion({ more: "m".repeat(9000) }),
    unsigned: async () => {
      const [, payload = ""] = (await ci.assertion()).split(".");
      return `${encoded({ alg: "none", kid: "first", typ: "JWT" })}.${payload}.`;
    },
    "signed by HMAC with the public key": async () => {
      const [, payload = ""] = (await ci.assertion()).split(".");
      const input = `${encoded({ alg: "HS256", kid: "first", typ: "JWT" })}.${payload}`;
      const jwk = ci.keys[0]?.publicJwk ?? {};
      const pem = createPublicKey({ key: jwk, format: "jwk" }).export({ type: "spki", format: "pem" });
      return `${input}.${createHmac("sha256", pem).update(input).digest("base64url")}`;
    },
    "of another algorithm than was agreed on": async () => ci.assertion({}, { alg: "PS256" }, await psKey()),
    "whose claims were changed": async () => {
      const [header, , signature] = (await ci.assertion()).split(".");
      const [, payload] = (await ci.assertion({ sub: "repo:acme/other" }, {}, stranger)).split(".");
      return `${header}.${payload}.${signature}`;
    },
  };
  const psKey = () => issuerKey("first", "PS256");

  test.each(Object.entries(wrong))("%s", async (_, make) => {
    const assertion = await make();
    const answer = await present(assertion);
    expect(`${answer.status} ${answer.error}`).toMatch(/^400 invalid_(grant|request)$/);
    expect(answer.error_description).not.toMatch(/nobody here trusts/);
    const asClient = await ask({
      grant_type: "client_credentials",
      client_assertion_type: byAssertion,
      client_assertion: assertion,
    });
    expect(asClient.access_token).toBeUndefined();
    expect(asClient.error).toMatch(/^invalid_(client|request)$/);
  });

  test("who is trusted is told alike from who is not", async () => {
    const answers = [
      await present(await ci.assertion({}, {}, stranger)),
      await present(await ci.assertion({ repository_owner_id: "9" })),
      await present(await ci.assertion({ iss: "https://ci.example" })),
    ];
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  });

  test("a sole audience may stand in a list, as Kubernetes writes it", async () => {
    expect(await told(ci.assertion({ aud: [ourAudience()] }))).toBe("200 token");
  });
});

describe("[TRU-002] an assertion is a grant once, and good for one key", () => {
  test("sent again it is refused, at any server", async () => {
    const assertion = await ci.assertion();
    expect(await told(assertion)).toBe("200 token");
    expect(await told(assertion, { place: 1 })).toBe("400 invalid_grant");
  });

  test.each([
    ["with a jti", {}],
    ["without one", { jti: undefined, salt: Math.random() }],
  ])("of ten at once %s one is let in", async (_, claims) => {
    const assertion = await ci.assertion(claims);
    const all = await Promise.all(Array.from({ length: 10 }, (_, place) => told(assertion, { place })));
    expect(all.filter((answer) => answer === "200 token")).toHaveLength(1);
  });

  test("[FLT-020] where the ledger can't record what it was for, it is as good as before", async () => {
    const { dataDir } = stage.installation;
    const assertion = await ci.assertion();
    await sqlOf(dataDir, "ALTER TABLE ledger_entry RENAME TO ledger_entry_gone");
    try {
      expect(await told(assertion)).toBe("503 temporarily_unavailable");
    } finally {
      await sqlOf(dataDir, "ALTER TABLE ledger_entry_gone RENAME TO ledger_entry");
    }
    expect(await told(assertion)).toBe("200 token");
    expect(await told(assertion)).toBe("400 invalid_grant");
  });

  test("another assertion with the same jti is the same", async () => {
    expect(await told(ci.assertion({ jti: "twice" }))).toBe("200 token");
    expect(await told(ci.assertion({ jti: "twice", sub: "repo:acme/other" }))).toBe("400 invalid_grant");
  });

  test("of ten keys at once one gets to use it as a client's, and goes on to", async () => {
    const keys = await Promise.all(Array.from({ length: 10 }, async () => (await makeKeyPair()).privateJwk));
    const asClient = {
      grant_type: "client_credentials",
      client_assertion_type: byAssertion,
      client_assertion: await ci.assertion(),
    };
    const answers = await Promise.all(keys.map((by, place) => ask(asClient, { by, place })));
    const winner = answers.findIndex(({ status }) => status === 200);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ error }) => error === "invalid_dpop_proof")).toHaveLength(9);
    expect((await ask(asClient, { by: keys[winner] ?? null })).status).toBe(200);
  });

  test("no other key gets in by what the first one left, spelled in whatever way", async () => {
    const assertion = await ci.assertion();
    const { privateJwk: job } = await makeKeyPair();
    expect(await told(assertion, { by: job })).toBe("200 token");
    expect(await told(assertion)).toBe("400 invalid_dpop_proof");
    const asClient = { grant_type: "client_credentials", client_assertion_type: byAssertion };
    for (const client_assertion of [assertion, respelled(assertion)]) {
      const answer = await ask({ ...asClient, client_assertion });
      expect(answer.access_token).toBeUndefined();
    }
  });

  test("without a proof, nothing is given and nobody is made an agent of", async () => {
    const sub = "repo:acme/unproven";
    expect(await told(ci.assertion({ sub }), { by: null })).toBe("400 invalid_dpop_proof");
    expect(await agentsOf(trusted, sub)).toEqual([]);
  });

  test("[SVI-022] a proof that proves nothing makes nobody an agent, by no grant", async () => {
    const sub = "repo:acme/pretended";
    const { issuer } = stage.installation;
    const deps = depsFor(issuer, stage.at(0));
    const proof = (url: string) => signDpopProof(deps, { key: thief, method: "POST", url });
    const used = await proof(`${issuer}/token`);
    const asked = async (dpop: string, parameters: Record<string, string>) => {
      const init = { method: "POST", headers: { dpop }, body: new URLSearchParams(parameters) };
      return answerSchema.parse(await (await fetch(`${stage.at(0).url}/token`, init)).json());
    };
    const other = { grant_type: bearer, assertion: await ci.assertion() };
    expect((await asked(used, other)).error).toBeUndefined();
    const broken = `${used.slice(0, -8)}AAAAAAAA`;
    for (const dpop of ["x", "a.b.c", await proof(`${issuer}/introspect`), broken, used]) {
      const assertion = await ci.assertion({ sub });
      const asClient = { client_assertion_type: byAssertion, client_assertion: assertion };
      const exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
      for (const parameters of [
        { grant_type: bearer, assertion },
        { grant_type: "client_credentials", ...asClient },
        { grant_type: exchange, subject_token: "x", subject_token_type: delegationTokenType, ...asClient },
      ])
        expect((await asked(dpop, parameters)).error).toBe("invalid_dpop_proof");
    }
    expect(await agentsOf(trusted, sub)).toEqual([]);
    expect(await told(ci.assertion({ sub }))).toBe("200 token");
    expect(await agentsOf(trusted, sub)).toHaveLength(1);
  });

  test("[SVI-022] who has nothing yet is made nobody by asking for what another gave", async () => {
    const sub = "repo:acme/empty-handed";
    const answer = await ask({
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      subject_token: "dlg_01k9a000000000000000000000",
      subject_token_type: delegationTokenType,
      client_assertion_type: byAssertion,
      client_assertion: await ci.assertion({ sub }),
    });
    expect([answer.status, answer.error]).toEqual([401, "invalid_client"]);
    expect(await agentsOf(trusted, sub)).toEqual([]);
  });
});

/** The same signature in another spelling of base64url: the last character's unused bits are set. */
function respelled(jwt: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const last = alphabet.indexOf(jwt.at(-1) ?? "");
  return `${jwt.slice(0, -1)}${alphabet.charAt(last ^ 1)}`;
}

describe("[TRU-003] a subject is one agent, with an owner and no authority that nobody gave it", () => {
  test("of ten that come at once to two servers one agent is made, which Alice owns", async () => {
    const sub = "repo:acme/new";
    const answers = await Promise.all(
      Array.from({ length: 10 }, async (_, place) => present(await ci.assertion({ sub }), { place })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(new Set(answers.map(agentOf)).size).toBe(1);
    const [made, ...more] = await agentsOf(trusted, sub);
    expect(more).toEqual([]);
    expect(made).toMatchObject({ name: `workload ${sub}`, owner_id: stage.cast.alice });
    const answer = await present(await ci.assertion({ sub }), {}, { resource: mail, scope: mailScope });
    expect(answer.error).toBe("invalid_target");
  });

  test("a client_id beside it has to be the agent's own", async () => {
    const other = await stage.cast.createAgent("other");
    expect(await told(ci.assertion(), {}, { client_id: other.clientId })).toMatch(/^40[01] invalid_/);
    const answer = await present(await ci.assertion());
    const { client_id: own } = decodeJwt(answer.access_token ?? "");
    expect(await told(ci.assertion(), {}, { client_id: String(own) })).toBe("200 token");
  });

  test("what is mapped to an agent is that agent, and two mappings that fit alike are none", async () => {
    const issuer = await newIssuer();
    const { trusted: id } = await trust(issuer);
    const one = await stage.cast.createAgent("one");
    const two = await stage.cast.createAgent("two");
    const { operator } = stage.cast;
    const map = (agent: Party, claims: Record<string, string>) =>
      operator.perform(mapSubject, { params: { id }, body: { claims, agent: agent.id } });
    await map(one, { environment: "production" });
    expect(agentOf(await present(await issuer.assertion({ environment: "production" })))).toBe(one.id);
    await map(two, { ref: "main" });
    const both = { environment: "production", ref: "main" };
    expect(await told(issuer.assertion(both))).toBe("400 invalid_grant");
    await map(two, both);
    expect(agentOf(await present(await issuer.assertion(both)))).toBe(two.id);
  });

  test("nobody is an agent where no mapping says so", async () => {
    const issuer = await newIssuer();
    const { trusted: id, rule: mapping } = await trust(issuer);
    await stage.cast.operator.perform(unmapSubject, { params: { id, mapping } });
    expect(await told(issuer.assertion())).toBe("400 invalid_grant");
  });

  test("all that an issuer vouches for is never one agent", async () => {
    const agent = await stage.cast.createAgent("all");
    const body = { agent: agent.id };
    const attempt = stage.cast.operator.perform(mapSubject, { params: { id: trusted }, body });
    expect(await codeOf(attempt)).toBe("invalid_request");
  });

  test("a mapping that has ended makes way for the rule, which makes another agent", async () => {
    const sub = "repo:acme/moved";
    const first = agentOf(await present(await ci.assertion({ sub })));
    const { operator } = stage.cast;
    const listed = await operator.perform(listSubjectMappings, {
      params: { id: trusted },
      query: { limit: 200 },
    });
    const made = listed.items.find(({ agent }) => agent === first);
    expect(made).toMatchObject({ subject: sub, provisioned_by: rule });
    await operator.perform(unmapSubject, { params: { id: trusted, mapping: made?.id ?? "" } });
    expect(agentOf(await present(await ci.assertion({ sub })))).not.toBe(first);
  });
});

describe("[TRU-004] trust that has ended ends at once", () => {
  test("an issuer that is distrusted speaks for nobody, and what is issued meanwhile was issued before", async () => {
    const issuer = await newIssuer();
    const { trusted: id } = await trust(issuer);
    await present(await issuer.assertion());
    const assertions = await Promise.all(Array.from({ length: 20 }, () => issuer.assertion()));
    const asked = assertions.map((assertion, place) => present(assertion, { place }));
    const ended = stage.cast.operator.perform(deleteTrustedIssuer, { params: { id } });
    const [{ ledger }, answers] = await Promise.all([ended, Promise.all(asked)]);
    const places = answers.flatMap((answer) => positionSchema.safeParse(answer).data?.ledger.index ?? []);
    expect(places.filter((index) => index > ledger.index)).toEqual([]);
    expect(await told(issuer.assertion())).toBe("400 invalid_grant");
    expect(await codeOf(stage.cast.operator.perform(deleteTrustedIssuer, { params: { id } }))).toBe(
      "conflict",
    );
  });

  test("a suspended agent is not let in by its platform, and a resumed one is", async () => {
    const sub = "repo:acme/suspended";
    const id = agentOf(await present(await ci.assertion({ sub })));
    await stage.cast.operator.perform(suspendAgent, { params: { id } });
    expect(await told(ci.assertion({ sub }))).toMatch(/^400 /);
    await stage.cast.operator.perform(resumeAgent, { params: { id } });
    await expect.poll(() => told(ci.assertion({ sub })), { timeout: 10_000 }).toBe("200 token");
  });
});

const positionSchema = z.looseObject({ ledger: z.looseObject({ index: z.number() }) });

describe("[TRU-005] one token is never two organizations'", () => {
  let rival: Signer;
  beforeAll(async () => {
    rival = await plantOrganization(stage.installation, "rival");
  });

  test("[TRU-030] who names another's tenant gets none of its tokens, and keeps nobody from naming it", async () => {
    const client = stage.clientOf(rival);
    const issuer = await newIssuer();
    const body = { issuer: issuer.url, tenant_claim: tenant };
    const { id, audience } = await client.perform(createTrustedIssuer, { body });
    expect(audience).toBe(`${stage.installation.issuer}/org/rival`);
    const { id: owner } = await client.perform(createUser, { body: { name: "Mallory" } });
    await client.perform(mapSubject, { params: { id }, body: { provision: { owner } } });
    expect(await told(issuer.assertion())).toBe("400 invalid_grant");
    await trust(issuer);
    const answer = await present(await issuer.assertion());
    expect(decodeJwt(answer.access_token ?? "")["org"]).toBe("default");
  });

  test("[TRU-030] trust from before audiences named organizations goes on with the one that it has", async () => {
    const issuer = await newIssuer();
    const { trusted: id } = await trust(issuer);
    const { dataDir, issuer: aud } = stage.installation;
    await sqlOf(dataDir, `UPDATE trusted_issuer SET audience = '${aud}' WHERE id = '${id}'`);
    expect(await told(issuer.assertion({ aud }))).toBe("200 token");
    expect(await told(issuer.assertion())).toBe("400 invalid_grant");
  });

  test.each(["of ours", "of nobody's", "of both", "that begins like ours"])(
    "[TRU-030] an audience %s is none to register",
    async (which) => {
      const { issuer } = stage.installation;
      const audiences: Record<string, string> = {
        "of ours": ourAudience(),
        "of nobody's": issuer,
        "of both": `${ourAudience()}/org/rival`,
        "that begins like ours": `${issuer}/org/rivals`,
      };
      const body = { issuer: ci.url, tenant_claim: tenant, audience: audiences[which] ?? "" };
      expect(await codeOf(stage.clientOf(rival).perform(createTrustedIssuer, { body }))).toBe(
        "invalid_request",
      );
    },
  );

  test("[TRU-031] of trusts that would overlap and are made at once one is made", async () => {
    const issuer = await newIssuer();
    const tenants = [undefined, tenant, { name: "repository", value: "acme/app" }, undefined, tenant];
    const key = await stage.installation.operatorKey();
    const attempts = tenants.map((tenant_claim, place) => {
      const body = { issuer: issuer.url, ...(tenant_claim && { tenant_claim }) };
      return codeOf(stage.clientOf(key, place).perform(createTrustedIssuer, { body }));
    });
    expect((await Promise.all(attempts)).toSorted()).toEqual([...Array(4).fill("conflict"), "done"]);
  });

  test("the tenant claim says whose a token is, and no tenant is trusted twice", async () => {
    const client = stage.clientOf(rival);
    const own = { name: "repository_owner_id", value: "777" };
    const { operator } = stage.cast;
    const create = (tenant_claim?: object) =>
      operator.perform(createTrustedIssuer, {
        body: { issuer: ci.url, ...(tenant_claim && { tenant_claim: tenantSchema.parse(tenant_claim) }) },
      });
    expect(await codeOf(create(tenant))).toBe("conflict");
    expect(await codeOf(create())).toBe("conflict");
    expect(await codeOf(create({ name: "repository", value: "acme/app" }))).toBe("conflict");
    const { id } = await client.perform(createTrustedIssuer, {
      body: { issuer: ci.url, tenant_claim: own },
    });
    const { id: owner } = await client.perform(createUser, { body: { name: "Bob" } });
    await client.perform(mapSubject, { params: { id }, body: { provision: { owner } } });
    const organizationOf = async (value: string, organization: string) => {
      const aud = `${stage.installation.issuer}/org/${organization}`;
      const { access_token } = await present(await ci.assertion({ repository_owner_id: value, aud }));
      return access_token && decodeJwt(access_token)["org"];
    };
    expect(await organizationOf("1234", "default")).toBe("default");
    expect(await organizationOf("777", "rival")).toBe("rival");
    expect(await organizationOf("777", "default")).toBeUndefined();
    expect(await organizationOf("1234", "rival")).toBeUndefined();
  });

  test("even where the database holds two for one token, it is nobody's", async () => {
    const issuer = await newIssuer();
    const { trusted: id } = await trust(issuer);
    await sqlOf(
      stage.installation.dataDir,
      `INSERT INTO trusted_issuer SELECT 'iss_01k9a000000000000000000000', 'rival', issuer, kind, audience, jwks, NULL, NULL,
       max_age_seconds, algorithms, status, created_at, max_agents, checksum_claims FROM trusted_issuer WHERE id = '${id}'`,
    );
    expect(await told(issuer.assertion())).toBe("400 invalid_grant");
  });

  test("no agent of another organization is mapped, and no issuer of another is seen", async () => {
    const client = stage.clientOf(rival);
    const agent = await stage.cast.createAgent("ours");
    const attempts = [
      client.perform(mapSubject, { params: { id: trusted }, body: { subject: "x", agent: agent.id } }),
      client.perform(deleteTrustedIssuer, { params: { id: trusted } }),
      client.perform(unmapSubject, { params: { id: trusted, mapping: rule } }),
      client.perform(listSubjectMappings, { params: { id: trusted } }),
    ];
    expect(await Promise.all(attempts.map(codeOf))).toEqual(Array(4).fill("not_found"));
  });

  test.each([
    ["https://token.actions.githubusercontent.com", undefined],
    ["https://token.actions.githubusercontent.com", { name: "repository_owner", value: "acme" }],
    ["https://gitlab.com", undefined],
    ["https://accounts.google.com", undefined],
    ["https://app.terraform.io", undefined],
  ])("%s is trusted for a tenant only, named by what can't be renamed: %o", async (issuer, tenant_claim) => {
    const body = { issuer, ...(tenant_claim && { tenant_claim }) };
    expect(await codeOf(stage.cast.operator.perform(createTrustedIssuer, { body }))).toBe("invalid_request");
  });

  test.each([
    "http://ci.example",
    "https://ci.example/?a=b",
    "https://ci.example/#a",
    "https://user:word@ci.example",
    "https://CI.example",
    "ftp://ci.example",
    "text",
  ])("%s is no issuer", async (issuer) => {
    const attempt = stage.cast.operator.perform(createTrustedIssuer, { body: { issuer } });
    expect(await codeOf(attempt)).toBe("invalid_request");
  });

  test("our own tokens are nobody's assertions", async () => {
    const body = { issuer: stage.installation.issuer };
    expect(await codeOf(stage.cast.operator.perform(createTrustedIssuer, { body }))).toBe("invalid_request");
  });
});

const tenantSchema = z.strictObject({ name: z.string(), value: z.string() });

describe("[TRU-006] keys are the issuer's own, and asking for them is bounded", () => {
  test("a flood of unknown keys has them read again once a minute at most", async () => {
    const issuer = await newIssuer();
    await trust(issuer);
    expect(await told(issuer.assertion())).toBe("200 token");
    const before = issuer.asked.length;
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, i) => told(issuer.assertion({}, { kid: `made-up-${i}` }))),
    );
    expect(new Set(answers)).toEqual(new Set(["400 invalid_grant"]));
    expect(issuer.asked.length - before).toBeLessThanOrEqual(2);
  });

  test("a flood for an issuer that does not answer asks it no more than every ten seconds", async () => {
    const issuer = await newIssuer();
    await trust(issuer);
    issuer.instead.set("/.well-known/openid-configuration", gone);
    const answers = await Promise.all(Array.from({ length: 20 }, () => told(issuer.assertion())));
    expect(new Set(answers)).toEqual(new Set(["503 temporarily_unavailable"]));
    expect(issuer.asked).toHaveLength(1);
  });

  test("pinned keys are not those that the issuer publishes today", async () => {
    const issuer = await newIssuer();
    const pinned = await issuerKey("pinned", "ES256");
    await trust(issuer, { jwks: { keys: [pinned.publicJwk] } });
    expect(await told(issuer.assertion())).toBe("400 invalid_grant");
    expect(await told(issuer.assertion({}, { kid: "pinned" }))).toBe("400 invalid_grant");
    expect(await told(issuer.assertion({}, {}, pinned))).toBe("200 token");
    expect(issuer.asked).toEqual([]);
  });

  test("a second signature, made from the first without the key, is no second assertion", async () => {
    const issuer = await newIssuer();
    const key = await issuerKey("elliptic", "ES256");
    issuer.keys = [key];
    await trust(issuer);
    const assertion = await issuer.assertion();
    const { privateJwk: job } = await makeKeyPair();
    const asClient = { grant_type: "client_credentials", client_assertion_type: byAssertion };
    expect((await ask({ ...asClient, client_assertion: assertion }, { by: job })).status).toBe(200);
    const answer = await ask({ ...asClient, client_assertion: otherSignature(assertion) });
    expect(answer.error).toBe("invalid_dpop_proof");
  });

  test.each([
    ["an oct key", { kty: "oct", kid: "a", k: "c2VjcmV0" }],
    ["a private key", { kty: "EC", crv: "P-256", kid: "a", x: "x", y: "y", d: "d" }],
    ["a key without a name", { kty: "RSA", n: "AQAB", e: "AQAB" }],
  ])("%s can't be pinned", async (_, jwk) => {
    const operator = await stage.signIn(await stage.installation.operatorKey(), "admin");
    const body = JSON.stringify({ issuer: "https://ci.example", jwks: { keys: [jwk] } });
    const { status } = await stage.call(operator, { method: "POST", path: "/v1/trusted-issuers", body });
    expect(status).toBe(400);
  });

  const tricks: Record<string, (issuer: OidcIssuer, other: OidcIssuer) => void> = {
    "a redirect": (issuer, other) => {
      issuer.instead.set("/keys", (_, res) => res.writeHead(302, { location: `${other.url}/keys` }).end());
    },
    "a document of another issuer's": (issuer, other) => {
      const document = { issuer: other.url, jwks_uri: `${other.url}/keys` };
      issuer.instead.set("/.well-known/openid-configuration", json(document));
    },
    "keys at a private address": (issuer) => {
      const document = { issuer: issuer.url, jwks_uri: "https://169.254.169.254/latest/meta-data" };
      issuer.instead.set("/.well-known/openid-configuration", json(document));
    },
    "keys in a file": (issuer) => {
      const document = { issuer: issuer.url, jwks_uri: "file:///etc/passwd" };
      issuer.instead.set("/.well-known/openid-configuration", json(document));
    },
    "endless keys": (issuer) => {
      issuer.instead.set("/keys", json({ keys: [], more: "m".repeat(300 * 1024) }));
    },
    "more keys than are read": (issuer) => {
      const keys = Array.from({ length: 65 }, () => issuer.keys[0]?.publicJwk);
      issuer.instead.set("/keys", json({ keys }));
    },
    "no JSON": (issuer) => {
      issuer.instead.set("/keys", (_, res) => res.end("<html>"));
    },
  };
  test.each(Object.entries(tricks))("%s gets nobody in, and nobody else is asked", async (_, prepare) => {
    const [issuer, other] = [await newIssuer(), await newIssuer()];
    await trust(issuer);
    prepare(issuer, other);
    expect(await told(issuer.assertion())).toBe("503 temporarily_unavailable");
    expect(other.asked).toEqual([]);
  });

  test.each([
    "https://10.0.0.1",
    "https://169.254.169.254",
    "https://[fd00::1]",
    "https://[::ffff:10.0.0.1]",
  ])("an issuer at %s is never connected to", async (url) => {
    await stage.cast.operator.perform(createTrustedIssuer, { body: { issuer: new URL(url).origin } });
    const assertion = ci.assertion({ iss: new URL(url).origin });
    expect(await told(assertion)).toBe("503 temporarily_unavailable");
  });
});

const gone = (_: IncomingMessage, res: ServerResponse) => res.writeHead(503).end();
const json = (value: object) => (_: IncomingMessage, res: ServerResponse) =>
  void res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));

describe("[TRU-007] a job with nothing but its platform's token redeems a delegation", () => {
  test("the same token is the grant of its first token and the proof of who redeems", async () => {
    const { privateJwk: job } = await makeKeyPair();
    const assertion = await ci.assertion({ sub: "repo:acme/deploy" });
    const first = await present(assertion, { by: job });
    const agent = agentOf(first);
    const { operator, alice } = stage.cast;
    const body = { from_user: alice, to_agent: agent, resource: mail, scope: [mailScope] };
    const { id: delegation } = await operator.perform(createDelegation, { body });
    const redeeming = {
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      subject_token: delegation,
      subject_token_type: delegationTokenType,
      client_assertion_type: byAssertion,
      client_assertion: assertion,
    };
    const answer = await ask(redeeming, { by: job });
    expect(answer.status).toBe(200);
    const claims = decodeJwt(answer.access_token ?? "");
    expect(claims).toMatchObject({ aud: mail, scope: mailScope, delegation, attestation: "platform" });
    expect((await ask(redeeming)).error).toBe("invalid_dpop_proof");
    const rows = await sqlOf(
      stage.installation.dataDir,
      `SELECT entry FROM ledger_entry WHERE entry::json->>'jti' = '${claims.jti}'`,
    );
    expect(JSON.parse(String(rows[0]?.["entry"]))).toMatchObject({ attestation: "platform", agent });
  });

  test("what nobody delegated to it is not its own", async () => {
    const other = await stage.cast.createAgent("grantee");
    const delegation = await stage.cast.grant(other);
    const answer = await ask({
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      subject_token: delegation,
      subject_token_type: delegationTokenType,
      client_assertion_type: byAssertion,
      client_assertion: await ci.assertion(),
    });
    expect(answer.status).toBe(400);
    expect(answer.access_token).toBeUndefined();
  });
});
