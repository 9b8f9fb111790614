import { hash } from "node:crypto";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { signDpopProof } from "@countersign/sdk/client/sign";
import { createAgent, suspendAgent, transferAgent } from "@countersign/sdk/contract/agents";
import {
  consentToDelegation,
  createDelegation,
  revokeDelegation,
} from "@countersign/sdk/contract/delegations";
import { createResource } from "@countersign/sdk/contract/resources";
import {
  createTrustedIssuer,
  deleteTrustedIssuer,
  mapSubject,
  type mapSubjectRequestSchema,
} from "@countersign/sdk/contract/trusted-issuers";
import { createUser, offboardUser } from "@countersign/sdk/contract/users";
import { calculateJwkThumbprint, decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { audience as mail, scope as read, signedForm } from "../chaos/cast.ts";
import { sqlOf } from "../chaos/postgres.ts";
import { type IssuerKey, issuerKey, type OidcIssuer, startOidcIssuer } from "../oidc-issuer.ts";
import { depsFor, type Party, until } from "../server.ts";
import { plantOrganization } from "./another-organization.ts";
import { codeOf, openStage, type Signer, type Stage, type TokenAnswer } from "./stage.ts";

// An identity provider that vouches for people: what an agent, and others, can make of its word.
const bearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const byAssertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const send = "mail.send";
const removals: (() => unknown)[] = [];
let stage: Stage;
let idp: OidcIssuer;
let trusted: string;
let agent: Party;
let delegation: string;
let stranger: IssuerKey;

beforeAll(async () => {
  stage = await openStage((remove) => removals.push(remove), { COUNTERSIGN_LOOPBACK_ISSUERS: "allow" }, 2);
  idp = await startOidcIssuer(stage.installation.issuer);
  removals.push(idp.close);
  stranger = await issuerKey("first");
  const { operator, alice } = stage.cast;
  const body = { issuer: idp.url, kind: "id_jag" } as const;
  ({ id: trusted } = await operator.perform(createTrustedIssuer, { body }));
  await operator.perform(mapSubject, { params: { id: trusted }, body: { subject: "alice", user: alice } });
  agent = await stage.cast.createAgent("assistant");
  delegation = await grant(agent, [read, send]);
});
afterAll(async () => {
  for (const remove of removals) await remove();
});

async function grant(to: Party, scope: string[]): Promise<string> {
  const { operator, alice } = stage.cast;
  const body = { from_user: alice, to_agent: to.id, resource: mail, scope };
  return (await operator.perform(createDelegation, { body })).id;
}

/** An identity assertion of Alice for the agent, with `claims` laid over it. */
const vouch = (claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}, key?: IssuerKey) =>
  idp.assertion(
    { sub: "alice", client_id: agent.clientId, resource: mail, scope: `${read} ${send}`, ...claims },
    { typ: "oauth-id-jag+jwt", ...header },
    key,
  );

const redeem = async (
  assertion: Promise<string> | string,
  more: Record<string, string> = {},
  { by = agent, place = 0 }: { readonly by?: Signer; readonly place?: number } = {},
) => stage.ask(by, { grant_type: bearer, assertion: await assertion, ...more }, place);

const told = ({ status, error = "token" }: TokenAnswer) => `${status} ${error}`;

async function entryOf(jti: unknown): Promise<Record<string, unknown>> {
  const rows = await sqlOf(
    stage.installation.dataDir,
    `SELECT entry FROM ledger_entry WHERE entry::json->>'jti' = '${jti}'`,
  );
  return JSON.parse(String(rows[0]?.["entry"]));
}

/** A proof by a new key, for the token endpoint. */
async function proof(): Promise<string> {
  const { issuer } = stage.installation;
  const { privateJwk: key } = await makeKeyPair();
  return signDpopProof(depsFor(issuer, stage.at(0)), { key, method: "POST", url: `${issuer}/token` });
}

const tokenSchema = z.looseObject({ access_token: z.string().optional() });

describe("[TRU-034] it is accepted only as its provider made it for this client and this server, once", () => {
  test("it gets the agent a token for Alice, which says who acts, and the ledger which assertion", async () => {
    const assertion = await vouch();
    const answer = await redeem(assertion);
    expect(answer.status).toBe(200);
    const claims = decodeJwt(answer?.access_token ?? "");
    expect(claims).toMatchObject({
      sub: stage.cast.alice,
      aud: mail,
      delegation,
      scope: `${read} ${send}`,
      act: { sub: agent.clientId },
    });
    const { jti = "" } = decodeJwt(assertion);
    expect(await entryOf(claims.jti)).toMatchObject({
      subject: stage.cast.alice,
      agent: agent.id,
      detail: { trusted_issuer: trusted, assertion: hash("sha256", jti, "base64url") },
    });
  });

  test("sent again it is refused at any server, and of ten at once one gets in", async () => {
    const assertion = await vouch();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, place) => redeem(assertion, {}, { place })),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(told(await redeem(assertion, {}, { place: 1 }))).toBe("400 invalid_grant");
  });

  test("[FLT-020] where the ledger can't record what it was for, it is as good as before", async () => {
    const { dataDir } = stage.installation;
    const assertion = await vouch();
    await sqlOf(dataDir, "ALTER TABLE ledger_entry RENAME TO ledger_entry_gone");
    try {
      expect(told(await redeem(assertion))).toBe("503 temporarily_unavailable");
    } finally {
      await sqlOf(dataDir, "ALTER TABLE ledger_entry_gone RENAME TO ledger_entry");
    }
    expect(told(await redeem(assertion))).toBe("200 token");
    expect(told(await redeem(assertion))).toBe("400 invalid_grant");
  });

  const nowSeconds = () => Math.floor(Date.now() / 1000);
  const wrong: Record<string, () => Promise<string>> = {
    "for another client": async () => vouch({ client_id: (await stage.cast.createAgent("other")).clientId }),
    "for no client": () => vouch({ client_id: undefined }),
    "for a list of clients": () => vouch({ client_id: [agent.clientId] }),
    "for another server": () => vouch({ aud: "https://idp.example" }),
    "for our organization, as a workload's would be": () =>
      vouch({ aud: `${stage.installation.issuer}/org/default` }),
    "for our token endpoint": () => vouch({ aud: `${stage.installation.issuer}/token` }),
    "for two servers": () => vouch({ aud: [stage.installation.issuer, "https://other.example"] }),
    "without a jti": () => vouch({ jti: undefined }),
    expired: () => vouch({ exp: nowSeconds() - 60 }),
    "too old, though it has not expired": () => vouch({ iat: nowSeconds() - 900 }),
    "by a stranger's key": () => vouch({}, {}, stranger),
    "of another issuer": () => vouch({ iss: "https://idp.example" }),
    "whose resource is no text": () => vouch({ resource: [mail, 1] }),
    "whose scope is a list": () => vouch({ scope: [read] }),
  };
  test.each(Object.entries(wrong))("%s", async (_, make) => {
    expect(told(await redeem(make()))).toBe("400 invalid_grant");
  });

  test("who does not authenticate by something else gets nothing for it", async () => {
    const body = new URLSearchParams({ grant_type: bearer, assertion: await vouch() });
    const url = `${stage.at(0).url}/token`;
    expect((await fetch(url, { method: "POST", body })).status).toBe(400);
    body.set("client_id", agent.clientId);
    expect((await fetch(url, { method: "POST", body })).status).toBe(401);
    body.set("client_assertion_type", byAssertion);
    body.set("client_assertion", body.get("assertion") ?? "");
    expect((await fetch(url, { method: "POST", body })).ok).toBe(false);
  });

  test("a workload that is known by its platform's token alone redeems it too", async () => {
    const { issuer } = stage.installation;
    const ci = await startOidcIssuer(`${issuer}/org/default`);
    removals.push(ci.close);
    const { operator } = stage.cast;
    const { id } = await operator.perform(createTrustedIssuer, { body: { issuer: ci.url } });
    await operator.perform(mapSubject, { params: { id }, body: { subject: "job", agent: agent.id } });
    const dpop = await proof();
    const body = new URLSearchParams({
      grant_type: bearer,
      assertion: await vouch(),
      client_assertion_type: byAssertion,
      client_assertion: await ci.assertion({ sub: "job" }),
    });
    const answer = await fetch(`${stage.at(0).url}/token`, { method: "POST", headers: { dpop }, body });
    const { access_token = "" } = tokenSchema.parse(await answer.json());
    expect(decodeJwt(access_token)).toMatchObject({ sub: stage.cast.alice, act: { sub: agent.clientId } });
  });

  test("it is trusted by the client's own organization, or not at all", async () => {
    const rival = await plantOrganization(stage.installation, "rival");
    const client = stage.clientOf(rival);
    const { clientId: client_id } = rival;
    expect(told(await redeem(vouch({ client_id }), {}, { by: rival }))).not.toMatch(/token/);
    const { id } = await client.perform(createTrustedIssuer, { body: { issuer: idp.url, kind: "id_jag" } });
    const user = stage.cast.alice;
    const mapping = client.perform(mapSubject, { params: { id }, body: { subject: "alice", user } });
    expect(await codeOf(mapping)).toBe("not_found");
    expect(told(await redeem(vouch()))).toBe("200 token");
  });

  test("trust in the provider ends at once, for what it signed before too", async () => {
    const other = await startOidcIssuer(stage.installation.issuer);
    removals.push(other.close);
    const { operator, alice: user } = stage.cast;
    const { id } = await operator.perform(createTrustedIssuer, {
      body: { issuer: other.url, kind: "id_jag" },
    });
    await operator.perform(mapSubject, { params: { id }, body: { subject: "alice", user } });
    const claims = { sub: "alice", client_id: agent.clientId, resource: mail };
    const [one, two] = await Promise.all(
      [1, 2].map(() => other.assertion(claims, { typ: "oauth-id-jag+jwt" })),
    );
    expect(told(await redeem(one ?? ""))).toBe("200 token");
    await operator.perform(deleteTrustedIssuer, { params: { id } });
    expect(told(await redeem(two ?? ""))).toBe("400 invalid_grant");
  });
});

test("[TRU-041] an assertion of a person that names a key is redeemed by its holder alone", async () => {
  const { issuer } = stage.installation;
  const { privateJwk: key } = await makeKeyPair();
  const jkt = await calculateJwkThumbprint(key);
  const send = async (cnf: unknown) => {
    const parameters = { grant_type: bearer, assertion: await vouch({ cnf }) };
    const body = await signedForm(stage.installation, agent, parameters);
    const request = { key, method: "POST", url: `${issuer}/token` };
    const headers = { dpop: await signDpopProof(depsFor(issuer, stage.at(0)), request) };
    const response = await fetch(`${stage.at(0).url}/token`, { method: "POST", body, headers });
    return z.looseObject({ error: z.string().optional() }).parse(await response.json()).error ?? "token";
  };
  expect(await send({ jkt })).toBe("token");
  expect(await send({ jkt: "A".repeat(43) })).toBe("invalid_dpop_proof");
  expect(await send({ "x5t#S256": jkt })).toBe("invalid_grant");
  expect(told(await redeem(vouch({ cnf: { jkt } })))).toBe("400 invalid_dpop_proof");
});

describe("[TRU-035] a person's, a workload's and a client's assertion never pass for one another", () => {
  test.each([
    ["no type", undefined],
    ["that of a JWT", "JWT"],
    ["an access token's", "at+jwt"],
    ["an ID token's", "id_token+jwt"],
  ])("with %s it is nobody's, whoever signs it", async (_, typ) => {
    const assertion = await vouch({}, { typ });
    expect(told(await redeem(assertion))).toMatch(/^400 invalid_/);
    const dpop = await proof();
    const body = new URLSearchParams({ grant_type: bearer, assertion });
    const url = `${stage.at(0).url}/token`;
    expect((await fetch(url, { method: "POST", headers: { dpop }, body })).status).toBe(400);
  });

  test("it is no client assertion", async () => {
    const body = new URLSearchParams({
      grant_type: "client_credentials",
      client_id: agent.clientId,
      client_assertion_type: byAssertion,
      client_assertion: await vouch(),
    });
    const headers = { dpop: await proof() };
    const answer = await fetch(`${stage.at(0).url}/token`, { method: "POST", headers, body });
    expect(answer.status).toBeGreaterThanOrEqual(400);
  });

  test("a workload's word with this type is no person's", async () => {
    const ci = await startOidcIssuer(stage.installation.issuer);
    removals.push(ci.close);
    const { operator, alice: owner } = stage.cast;
    const { id } = await operator.perform(createTrustedIssuer, { body: { issuer: ci.url } });
    await operator.perform(mapSubject, { params: { id }, body: { provision: { owner } } });
    const claims = { sub: "alice", client_id: agent.clientId, resource: mail };
    expect(told(await redeem(ci.assertion(claims, { typ: "oauth-id-jag+jwt" })))).toBe("400 invalid_grant");
    const aud = `${stage.installation.issuer}/org/default`;
    const here = ci.assertion({ ...claims, aud }, { typ: "oauth-id-jag+jwt" });
    expect(told(await redeem(here))).toBe("400 invalid_grant");
  });
});

describe("[TRU-036] it is no authority: what it gets is within a live delegation of that user, and within itself", () => {
  const scopeOf = async (answer: Promise<TokenAnswer>) => {
    const { status, access_token, error } = await answer;
    return access_token === undefined ? `${status} ${error}` : decodeJwt(access_token)["scope"];
  };

  test("after a transfer it is the one that the user consented to, though a later one rests", async () => {
    const { operator } = stage.cast;
    const moved = await stage.cast.createAgent("moved");
    const [first] = [await grant(moved, [read]), await grant(moved, [read, send])];
    const { id: owner } = await operator.perform(createUser, { body: { name: "Bob" } });
    await operator.perform(transferAgent, { params: { id: moved.id }, body: { owner } });
    const asked = () => redeem(vouch({ client_id: moved.clientId }), {}, { by: moved });
    expect(told(await asked())).toBe("400 invalid_grant");
    await operator.perform(consentToDelegation, { params: { id: first } });
    // In the second of a stop, which a transfer is, nothing is issued.
    let answer: TokenAnswer | undefined;
    await until("the next second", async () => {
      answer = await asked();
      return answer.access_token !== undefined;
    });
    expect(decodeJwt(answer?.access_token ?? "")).toMatchObject({ delegation: first, scope: read });
  });

  test.each<[string, object, Record<string, string>, string]>([
    ["all of both where nothing is asked", {}, {}, `${read} ${send}`],
    ["what both have", { scope: `${read} mail.delete` }, {}, read],
    ["all of the delegation where the assertion does not say", { scope: undefined }, {}, `${read} ${send}`],
    ["what is asked within both", {}, { scope: send }, send],
    ["nothing wider than the assertion", { scope: read }, { scope: send }, "400 invalid_scope"],
    [
      "nothing wider than the delegation",
      { scope: `${read} mail.delete` },
      { scope: "mail.delete" },
      "400 invalid_scope",
    ],
    ["nothing where they have nothing in common", { scope: "mail.delete" }, {}, "400 invalid_scope"],
    ["nothing where it says nothing is allowed", { scope: "" }, {}, "400 invalid_scope"],
    ["nothing for another resource", {}, { resource: "https://other.example" }, "400 invalid_target"],
    [
      "nothing that it is not for",
      { resource: "https://other.example" },
      { resource: mail },
      "400 invalid_target",
    ],
    ["nothing where no resource is named", { resource: undefined }, {}, "400 invalid_target"],
    ["nothing where several are", { resource: [mail, "https://other.example"] }, {}, "400 invalid_target"],
    [
      "the one of several that is asked for",
      { resource: [mail, "https://other.example"] },
      { resource: mail },
      `${read} ${send}`,
    ],
    ["nothing of details that the delegation lacks", { authorization_details: [{ type: "x" }] }, {}, "400 "],
  ])("%s", async (_, claims, asked, expected) => {
    expect(await scopeOf(redeem(vouch({ ...claims }), asked))).toEqual(
      expected === "400 " ? expect.stringMatching(/^400 /) : expected,
    );
  });

  test("without a delegation, or with one that another has, or that is for another resource, it gets nothing", async () => {
    const other = await stage.cast.createAgent("ungranted");
    const answer = await redeem(vouch({ client_id: other.clientId }), {}, { by: other });
    expect(told(answer)).toBe("400 invalid_grant");
    expect(answer.error_description).toMatch(/delegation/);
    const { publicJwk: jwk } = await makeKeyPair();
    const resource = "https://files.example/";
    const body = { audience: resource, scope: [read], owner: stage.cast.alice, jwk };
    await stage.cast.operator.perform(createResource, { body });
    expect(told(await redeem(vouch({ resource })))).toBe("400 invalid_grant");
  });

  test("a delegation that was revoked, an agent that is suspended and a user who left end it", async () => {
    const { operator } = stage.cast;
    const other = await stage.cast.createAgent("short");
    const revoked = await grant(other, [read]);
    const attempt = async () => told(await redeem(vouch({ client_id: other.clientId }), {}, { by: other }));
    expect(await attempt()).toBe("200 token");
    await operator.perform(revokeDelegation, { params: { id: revoked } });
    expect(await attempt()).toBe("400 invalid_grant");
    await grant(other, [read]);
    expect(await attempt()).toBe("200 token");
    await operator.perform(suspendAgent, { params: { id: other.id } });
    expect(await attempt()).toMatch(/^40[01] invalid_(grant|client)$/);
    const { id: bob } = await operator.perform(createUser, { body: { name: "Bob" } });
    await operator.perform(mapSubject, { params: { id: trusted }, body: { subject: "bob", user: bob } });
    const resource = "https://bob.example/";
    const { publicJwk: jwk } = await makeKeyPair();
    await operator.perform(createResource, { body: { audience: resource, scope: [read], owner: bob, jwk } });
    const body = { from_user: bob, to_agent: agent.id, resource, scope: [read] };
    await operator.perform(createDelegation, { body });
    expect(told(await redeem(vouch({ sub: "bob", resource })))).toBe("200 token");
    await operator.perform(offboardUser, { params: { id: bob } });
    expect(told(await redeem(vouch({ sub: "bob", resource })))).toBe("400 invalid_grant");
  });

  test("an agent whose owner left gets nothing, though the user who delegated to it is there", async () => {
    const { operator } = stage.cast;
    const { id: owner } = await operator.perform(createUser, { body: { name: "Bob" } });
    const { publicJwk: jwk, privateJwk: key } = await makeKeyPair();
    const made = await operator.perform(createAgent, { body: { owner, name: "owned", jwk } });
    const owned = { id: made.id, clientId: made.client_id, key };
    await grant(owned, [read]);
    const attempt = async () => told(await redeem(vouch({ client_id: owned.clientId }), {}, { by: owned }));
    expect(await attempt()).toBe("200 token");
    await operator.perform(offboardUser, { params: { id: owner } });
    expect(await attempt()).toMatch(/^40[01] invalid_(grant|client)$/);
  });
});

describe("[TRU-037] a subject is a user by an explicit mapping, or nobody", () => {
  test("nobody is made of one that was never seen", async () => {
    const before = await sqlOf(stage.installation.dataDir, `SELECT id FROM "user"`);
    expect(told(await redeem(vouch({ sub: "carol" })))).toBe("400 invalid_grant");
    expect(await sqlOf(stage.installation.dataDir, `SELECT id FROM "user"`)).toEqual(before);
  });

  test.each<[string, (id: string) => Promise<unknown>]>([
    ["an agent", (id) => map(id, { subject: "a", agent: agent.id })],
    ["an agent each", (id) => map(id, { provision: { owner: stage.cast.alice } })],
  ])("a provider's subjects are not mapped to %s", async (_, attempt) => {
    expect(await codeOf(attempt(trusted))).toBe("invalid_request");
  });

  test("a workload is no person", async () => {
    const body = { issuer: "https://ci.example" };
    const { id } = await stage.cast.operator.perform(createTrustedIssuer, { body });
    expect(await codeOf(map(id, { subject: "a", user: stage.cast.alice }))).toBe("invalid_request");
  });

  test("a provider's assertions are for the server alone", async () => {
    const body = {
      issuer: "https://idp.example",
      kind: "id_jag",
      audience: "https://x/org/default",
    } as const;
    expect(await codeOf(stage.cast.operator.perform(createTrustedIssuer, { body }))).toBe("invalid_request");
  });

  const map = (id: string, body: z.input<typeof mapSubjectRequestSchema>) =>
    stage.cast.operator.perform(mapSubject, { params: { id }, body });
});

test("the metadata names the profile of the grant", async () => {
  const response = await fetch(`${stage.at(0).url}/.well-known/oauth-authorization-server`);
  expect(await response.json()).toMatchObject({
    authorization_grant_profiles_supported: ["urn:ietf:params:oauth:grant-profile:id-jag"],
    grant_types_supported: expect.arrayContaining([bearer]),
  });
});
