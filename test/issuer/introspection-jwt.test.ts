import { logOf } from "@countersign/sdk/model/ids";
import { verifyAccessToken } from "@countersign/sdk/verify/verify-access-token";
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createAttestedClients } from "../../src/issuer/attested-clients.ts";
import { introspectionJwt } from "../../src/issuer/introspection-jwt.ts";
import { createIssuance } from "../../src/issuer/issuance.ts";
import { currentContext } from "../../src/issuer/provider-seam.ts";
import { jwksOf, makeParty, type Party, post, type RunningIssuer, startIssuer } from "./issuer-harness.ts";

const mediaType = "application/token-introspection+jwt";
let agent: Party;
let running: RunningIssuer;
beforeAll(async () => {
  agent = await makeParty();
  running = await startIssuer([agent]);
});
afterAll(() => running.stop());

const issued = async () => {
  const parameters = { grant_type: "client_credentials", resource: "https://mail.example" };
  return (await post(running.issuer, "/token", agent, { parameters })).json.access_token as string;
};
const introspect = (token: string, accept = mediaType) =>
  post(running.issuer, "/introspect", agent, { parameters: { token }, headers: { accept } });

test("[ISS-003] who asks for a JWT gets the answer signed, for itself alone", async () => {
  const answer = await introspect(await issued());
  expect(answer.headers.get("content-type")).toBe(mediaType);
  const keys = createLocalJWKSet(await jwksOf(running.issuer));
  const { payload } = await jwtVerify(answer.text, keys, {
    typ: "token-introspection+jwt",
    issuer: running.issuer,
    audience: agent.clientId,
  });
  const claims = running.journal.recorded.at(-1);
  expect(payload).toEqual({
    iss: running.issuer,
    aud: agent.clientId,
    iat: expect.any(Number),
    token_introspection: { ...claims, active: true, token_type: "Bearer" },
  });
  expect(decodeProtectedHeader(answer.text)).toEqual({
    alg: "ES256",
    typ: "token-introspection+jwt",
    kid: running.keys.active.kid,
  });
  const inactive = await jwtVerify((await introspect("opaque")).text, keys);
  expect(inactive.payload["token_introspection"]).toEqual({ active: false });
});

test.each(["*/*", "application/json", "application/json, application/token-introspection+jwt", "text/html"])(
  "[ISS-003] who accepts %s gets JSON",
  async (accept) => {
    expect((await introspect(await issued(), accept)).json.active).toBe(true);
  },
);

test("[ISS-003] such a JWT passes for no access token, at introspection or anywhere", async () => {
  const { text } = await introspect(await issued());
  const keys = createLocalJWKSet(await jwksOf(running.issuer));
  const deps = { keys, now: Date.now };
  for (const expected of [{ issuer: running.issuer, audience: agent.clientId }, { issuer: running.issuer }]) {
    await expect(verifyAccessToken(deps, text, expected)).rejects.toMatchObject({
      code: "type_not_accepted",
    });
  }
});

test("[ISS-003] the key's guard signs no such JWT, even with claims that a journey recorded", async () => {
  const jwt = introspectionJwt(running.deps, running.keys, { askedBy: agent.clientId, answer: {} });
  const [header = "", payload = ""] = jwt.split(".");
  const accessToken = `${base64url({ alg: "ES256", typ: "at+jwt" })}.${payload}`;
  const outcomes: unknown[] = [];
  const issuer = await startIssuer([agent], {
    issueToken: async () => {
      const { keep, assertRecorded } = createIssuance(running.deps, createAttestedClients(running.deps));
      const claims = JSON.parse(Buffer.from(payload, "base64url").toString());
      keep(currentContext(), { claims, ledger: { log: logOf(agent.principal.organization), index: 0 } });
      for (const input of [`${header}.${payload}`, accessToken]) {
        try {
          outcomes.push(assertRecorded(Buffer.from(input)));
        } catch (error) {
          outcomes.push(String(error));
        }
      }
      throw new Error("nothing more to see");
    },
  });
  const parameters = { grant_type: "client_credentials", resource: "https://mail.example" };
  await post(issuer.issuer, "/token", agent, { parameters });
  expect(outcomes).toEqual(["Error: what is to be signed is not what was recorded", undefined]);
  await issuer.stop();
});

const base64url = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
