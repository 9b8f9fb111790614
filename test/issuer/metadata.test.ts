import { afterAll, beforeAll, expect, test } from "vitest";
import { answerOf, jwksOf, type RunningIssuer, sendToHost, startIssuer } from "./issuer-harness.ts";

let running: RunningIssuer;
beforeAll(async () => {
  running = await startIssuer([]);
});
afterAll(() => running.stop());

const wellKnown = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] as const;
const read = async (path: string, init: RequestInit = {}) =>
  answerOf(await fetch(`${running.issuer}${path}`, init));

test("both well-known documents say the same, and nothing that is not true", async () => {
  const [oidc, oauth] = [await read(wellKnown[0]), await read(wellKnown[1])];
  expect(oidc.json).toEqual(oauth.json);
  const { issuer } = running;
  const algorithms = ["ES256"];
  expect(oidc.json).toEqual({
    issuer,
    authorization_endpoint: `${issuer}/auth`,
    token_endpoint: `${issuer}/token`,
    introspection_endpoint: `${issuer}/introspect`,
    revocation_endpoint: `${issuer}/revoke`,
    pushed_authorization_request_endpoint: `${issuer}/par`,
    jwks_uri: `${issuer}/jwks`,
    grant_types_supported: [
      "client_credentials",
      "urn:ietf:params:oauth:grant-type:token-exchange",
      "urn:ietf:params:oauth:grant-type:jwt-bearer",
    ],
    response_types_supported: ["code"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["ES256"],
    token_endpoint_auth_methods_supported: ["private_key_jwt", "spiffe_jwt"],
    token_endpoint_auth_signing_alg_values_supported: algorithms,
    introspection_endpoint_auth_methods_supported: ["private_key_jwt"],
    introspection_endpoint_auth_signing_alg_values_supported: algorithms,
    introspection_signing_alg_values_supported: algorithms,
    authorization_grant_profiles_supported: ["urn:ietf:params:oauth:grant-profile:id-jag"],
    authorization_details_types_supported: ["tool_call"],
    revocation_endpoint_auth_methods_supported: ["private_key_jwt"],
    revocation_endpoint_auth_signing_alg_values_supported: algorithms,
    code_challenge_methods_supported: ["S256"],
    dpop_signing_alg_values_supported: algorithms,
    authorization_response_iss_parameter_supported: true,
    request_uri_parameter_supported: false,
  });
});

test("every endpoint that is advertised is there", async () => {
  const { json } = await read(wellKnown[0]);
  for (const [name, url] of Object.entries<string>(json)) {
    if (!name.endsWith("_endpoint") && name !== "jwks_uri") continue;
    expect([name, (await fetch(url)).status]).not.toEqual([name, 404]);
    expect(running.face.owns(new URL(url).pathname)).toBe(true);
  }
});

test("URLs come from the issuer, whatever host the request names", async () => {
  const forwarded = { "x-forwarded-host": "evil.example", "x-forwarded-proto": "https" };
  for (const host of ["evil.example", "evil.example:1", "["]) {
    const answer = await sendToHost(`${running.issuer}${wellKnown[0]}`, host, undefined, forwarded);
    expect(answer.text).toContain(`"token_endpoint":"${running.issuer}/token"`);
    expect(answer.text).not.toContain("evil");
  }
});

test("keys are published without their private halves, for everybody", async () => {
  const { keys } = await jwksOf(running.issuer);
  expect(keys).toEqual([{ ...running.keys.published[0], use: "sig", alg: "ES256" }]);
  const { headers } = await read("/jwks", { headers: { origin: "https://app.example" } });
  expect(headers.get("access-control-allow-origin")).toBe("https://app.example");
  expect((await fetch(`${running.issuer}/jwks`, { method: "HEAD" })).status).toBe(200);
});

test("a key that signs but is not published would make tokens nobody can verify: the face refuses to start", async () => {
  const keys = { ...running.keys, published: [] };
  await expect(startIssuer([], { tokenKeys: () => keys })).rejects.toThrow(/not published/);
});
