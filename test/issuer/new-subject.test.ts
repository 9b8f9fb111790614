import { hash, randomBytes } from "node:crypto";
import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import { logOf, newId, type OrganizationId } from "@countersign/sdk/model/ids";
import { type Principal, spiffeIdOf } from "@countersign/sdk/model/spiffe-id";
import { SignJWT } from "jose";
import { afterAll, beforeAll, expect, test } from "vitest";
import { strictProfile } from "../../src/domain/client.ts";
import type { AssertedIdentity } from "../../src/journeys/trust/assert-identity.ts";
import {
  answerOf,
  assertionType,
  makeParty,
  proofOf,
  type RunningIssuer,
  startIssuer,
  trustDomain,
} from "./issuer-harness.ts";

const organization = "default" as OrganizationId;
const id = <Kind extends "agent" | "operator" | "issuer" | "mapping" | "delegation">(kind: Kind) =>
  newId(kind, Date.now(), randomBytes(16));
const spiffeId = (kind: "agent" | "operator", of = organization) =>
  spiffeIdOf(trustDomain, { kind, organization: of, id: id(kind) } as Principal);
const kept = { kind: "agent", organization, id: id("agent") } as const;
const keptId = spiffeIdOf(trustDomain, kept);
const asserted = { trustedIssuer: id("issuer"), checksum: undefined };
const known = { ...asserted, kind: "assertion", mapping: id("mapping") } as const;
const neverSeen = { ...asserted, kind: "new_subject", subject: "repo:a/b", rule: id("mapping") } as const;

let running: RunningIssuer;
/** What the journey records. */
let claims: Partial<AccessTokenClaims>;
let proof: AssertedIdentity["proof"];

beforeAll(async () => {
  running = await startIssuer([], {
    findClient: async (clientId) => ({ clientId, jwks: { keys: [] }, profile: strictProfile }),
    assertIdentity: async ({ assertion }) => ({
      agent: kept,
      proof,
      hash: hash("sha256", assertion, "base64url"),
      boundTo: undefined,
      once: assertion,
      expiresAt: new Date(Date.now() + 60_000),
    }),
    issueToken: async ({ confirmation }) => {
      const iat = Math.floor(Date.now() / 1000);
      const one = {
        iss: running.issuer,
        aud: "https://mail.example",
        org: organization,
        jti: "tok",
        txn: "txn",
      };
      const times = { iat, exp: iat + 240 };
      const own = { client_id: keptId, sub: keptId, ...(confirmation && { cnf: confirmation }) };
      return {
        claims: { ...one, ...times, ...own, ...claims },
        ledger: { log: logOf(organization), index: 0 },
      };
    },
  });
});
afterAll(() => running.stop());

async function ask(grant: "client_credentials" | "jwt-bearer") {
  const { key } = await makeParty();
  const assertion = await new SignJWT({
    iss: "https://ci.example",
    sub: "repo:a/b",
    jti: crypto.randomUUID(),
  })
    .setProtectedHeader({ alg: "HS256" })
    .sign(new Uint8Array(32));
  const body = new URLSearchParams(
    grant === "client_credentials"
      ? { grant_type: grant, client_assertion_type: assertionType, client_assertion: assertion }
      : { grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion },
  );
  body.set("resource", "https://mail.example");
  const url = `${running.issuer}/token`;
  return answerOf(await fetch(url, { method: "POST", body, headers: { DPoP: await proofOf(url, key) } }));
}

const another = spiffeId("agent");
const elsewhere = spiffeId("agent", "other" as OrganizationId);
const operator = spiffeId("operator");
const actor = { iss: "https://a.example", sub: another, sub_profile: "ai_agent" };
const grants = ["client_credentials", "jwt-bearer"] as const;

test.each(grants)("[TRU-003] a new subject is the agent that the journey says: %s", async (grant) => {
  proof = neverSeen;
  for (const client of [keptId, another]) {
    claims = { client_id: client, sub: client };
    const { status, json } = await ask(grant);
    expect([status, json.token_type]).toEqual([200, "DPoP"]);
  }
});

test.each<[string, Partial<AccessTokenClaims>]>([
  ["an agent of another organization", { client_id: elsewhere, sub: elsewhere }],
  [
    "an agent of another organization, which the token says",
    { client_id: elsewhere, sub: elsewhere, org: "other" },
  ],
  ["an agent of the organization, for another one", { client_id: another, sub: another, org: "other" }],
  ["an operator", { client_id: operator, sub: operator }],
  ["nobody", { client_id: "x", sub: "x" }],
  ["an agent that speaks for another", { client_id: another, sub: keptId }],
  ["an agent that speaks for a user", { client_id: another, sub: "usr_alice", act: actor }],
  ["an agent by what somebody gave it", { client_id: another, sub: another, delegation: id("delegation") }],
  ["an agent with an actor", { client_id: keptId, sub: keptId, act: actor }],
])("[TRU-003] a new subject never is %s", async (_, wrong) => {
  proof = neverSeen;
  claims = wrong;
  for (const grant of grants) {
    const before = running.journal.unexpected.length;
    expect([grant, (await ask(grant)).status]).toEqual([grant, 500]);
    expect(String(running.journal.unexpected.slice(before))).toMatch("not those of this request");
  }
});

test("[TRU-003] a subject that is known is its own agent alone", async () => {
  proof = known;
  for (const [client, status] of [
    [keptId, 200],
    [another, 500],
  ] as const) {
    claims = { client_id: client, sub: client };
    for (const grant of grants) expect([grant, (await ask(grant)).status]).toEqual([grant, status]);
  }
});
