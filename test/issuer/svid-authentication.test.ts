import { X509Certificate } from "node:crypto";
import type { SpiffeId } from "@countersign/sdk/model/spiffe-id";
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { otherSignature } from "../other-signature.ts";
import { bundleOf, makeAuthority, makeSvid } from "../svid/pki.ts";
import {
  answerOf,
  makeParty,
  type Party,
  proofOf,
  type RunningIssuer,
  registered,
  startIssuer,
  trustDomain,
} from "./issuer-harness.ts";

const jwtSpiffe = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
const root = makeAuthority(trustDomain);
const foreign = makeAuthority("other.example");
let keyless: Party;
let keyed: Party;
let operator: Party;
let thief: Party;
let running: RunningIssuer;
let authority: CryptoKey;
let presented: X509Certificate | undefined;

beforeAll(async () => {
  [keyless, keyed, operator, thief] = await Promise.all([
    makeParty(),
    makeParty(),
    makeParty("operator"),
    makeParty(),
  ]);
  const pair = await generateKeyPair("ES256", { extractable: true });
  authority = pair.privateKey;
  const jwtAuthorities = [{ ...(await exportJWK(pair.publicKey)), kty: "EC", kid: "jwt" }];
  const clients = [
    { ...registered(keyless.clientId, keyless.key), jwks: { keys: [] } },
    registered(keyed.clientId, keyed.key),
    registered(operator.clientId, operator.key),
  ];
  running = await startIssuer([], {
    findClient: async (clientId) => clients.find((client) => client.clientId === clientId),
    svidBundle: () => bundleOf(trustDomain, [root], jwtAuthorities),
    certificateOf: () => presented,
    mutualTls: { origin: "https://id.example:8461" },
  });
});
afterAll(() => running.stop());

/** A JWT-SVID with `claims` laid over a good one. */
function svidOf(party: Party, claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}) {
  const nowSeconds = Math.floor(Date.now() / 1000);
  return new SignJWT({
    sub: party.clientId,
    aud: [running.issuer],
    iat: nowSeconds,
    exp: nowSeconds + 300,
    jti: "one",
    ...claims,
  })
    .setProtectedHeader({ alg: "ES256", kid: "jwt", typ: "JWT", ...header })
    .sign(authority);
}

const grant = { grant_type: "client_credentials", resource: "https://mail.example" };

async function ask(
  parameters: Record<string, string> | URLSearchParams,
  {
    proofBy,
    path = "/token",
    headers = {},
  }: { proofBy?: Party; path?: string; headers?: Record<string, string> } = {},
) {
  const proof = proofBy && (await proofOf(`${running.issuer}/token`, proofBy.key));
  const body = new URLSearchParams(parameters);
  return answerOf(
    await fetch(`${running.issuer}${path}`, {
      method: "POST",
      body,
      headers: { ...headers, ...(proof && { DPoP: proof }) },
    }),
  );
}

const withSvid = (svid: string, more: Record<string, string> = {}) => ({
  ...grant,
  client_assertion_type: jwtSpiffe,
  client_assertion: svid,
  ...more,
});

describe("a JWT-SVID", () => {
  test("[SPF-201] gets an agent that has no key a token, bound to the key that it proves to hold", async () => {
    const { status, json } = await ask(withSvid(await svidOf(keyless)), { proofBy: keyless });
    expect([status, json.token_type]).toEqual([200, "DPoP"]);
    expect(running.journal.recorded.at(-1)).toMatchObject({
      client_id: keyless.clientId,
      cnf: { jkt: keyless.key.kid },
    });
    expect(running.journal.issued.at(-1)?.context).toMatchObject({
      restsOn: { kind: "svid", id: "one", claimsHash: expect.any(String) },
    });
  });

  test("[SPF-201] authenticates an agent that has a key too, in a token exchange as well, client_id said or not", async () => {
    const exchange = {
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      subject_token: "dlg_01arz3ndektsv4rrffq69g5fav",
      subject_token_type: "urn:countersign:params:oauth:token-type:delegation",
      resource: "https://mail.example",
    };
    const svid = withSvid(await svidOf(keyed), { ...exchange, client_id: keyed.clientId });
    expect((await ask(svid, { proofBy: thief })).status).toBe(200);
    expect(running.journal.exchanged.at(-1)?.client).toEqual(keyed.principal);
  });

  test("[SPF-202] is good again under the same key, and never under another", async () => {
    const svid = withSvid(await svidOf(keyless));
    for (let turn = 0; turn < 3; turn++) expect((await ask(svid, { proofBy: keyless })).status).toBe(200);
    const before = running.journal.recorded.length;
    expect((await ask(svid, { proofBy: thief })).json.error).toBe("invalid_dpop_proof");
    expect(running.journal.recorded).toHaveLength(before);
  });

  test("[SPF-202] with another signature, made of its own without the key, is the same one", async () => {
    const svid = await svidOf(keyless);
    expect((await ask(withSvid(svid), { proofBy: keyless })).status).toBe(200);
    const { json } = await ask(withSvid(otherSignature(svid)), { proofBy: thief });
    expect(json.error).toBe("invalid_dpop_proof");
  });

  test("[SPF-202] that two keys present at once is one's", async () => {
    const svid = withSvid(await svidOf(keyless));
    const answers = await Promise.all(
      [keyless, thief, keyless, thief].map((proofBy) => ask(svid, { proofBy })),
    );
    const byThief = [answers[1], answers[3]].filter((answer) => answer?.status === 200).length;
    const byOwner = [answers[0], answers[2]].filter((answer) => answer?.status === 200).length;
    expect([byOwner, byThief].toSorted()).toEqual([0, 2]);
  });

  test("[SPF-202] without a proof of possession gets nothing", async () => {
    const { status, json } = await ask(withSvid(await svidOf(keyless)));
    expect([status, json.error]).toEqual([400, "invalid_dpop_proof"]);
  });

  test.each<[string, () => Promise<Record<string, string>>]>([
    ["of another audience", async () => withSvid(await svidOf(keyless, { aud: ["https://other.example"] }))],
    [
      "of the token endpoint",
      async () => withSvid(await svidOf(keyless, { aud: [`${running.issuer}/token`] })),
    ],
    ["of several audiences", async () => withSvid(await svidOf(keyless, { aud: [running.issuer, "x"] }))],
    ["that has expired", async () => withSvid(await svidOf(keyless, { exp: 1 }))],
    ["whose type is an access token's", async () => withSvid(await svidOf(keyless, {}, { typ: "at+jwt" }))],
    [
      "of a foreign trust domain",
      async () => withSvid(await svidOf(keyless, { sub: "spiffe://other.example/a" })),
    ],
    ["of an operator", async () => withSvid(await svidOf(operator))],
    ["of nobody that there is", async () => withSvid(await svidOf(thief))],
    [
      "of another client than is named",
      async () => withSvid(await svidOf(keyless), { client_id: keyed.clientId }),
    ],
    ["that is none", async () => withSvid("nonsense")],
  ])("[SPF-203] authenticates nobody: one %s", async (_, parameters) => {
    const before = running.journal.recorded.length;
    const { status, json } = await ask(await parameters(), { proofBy: keyless });
    expect([status, json.error]).toEqual([401, "invalid_client"]);
    expect(running.journal.recorded).toHaveLength(before);
    expect(running.journal.failures.at(-1)).toMatchObject({ reason: "invalid_client" });
  });

  test("[SPF-203] authenticates nobody where no key is proven: introspection, revocation, pushed requests", async () => {
    for (const path of ["/introspect", "/revoke", "/par"]) {
      const { status } = await ask(withSvid(await svidOf(keyless), { token: "x" }), {
        proofBy: keyless,
        path,
      });
      expect([path, status]).toEqual([path, 401]);
    }
  });

  test("[SPF-203] is the only proof of its request: no second assertion, no secret, no repeated parameter", async () => {
    const twice = new URLSearchParams(withSvid(await svidOf(keyless)));
    twice.append("client_assertion", await svidOf(keyed));
    expect((await ask(twice, { proofBy: keyless })).status).toBe(400);
    const bothTypes = new URLSearchParams(withSvid(await svidOf(keyless)));
    bothTypes.append("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    expect((await ask(bothTypes, { proofBy: keyless })).status).toBe(400);
    const headers = { Authorization: `Basic ${Buffer.from("a:b").toString("base64")}` };
    expect((await ask(withSvid(await svidOf(keyless)), { proofBy: keyless, headers })).status).toBe(400);
  });

  test("[SPF-203] opens nothing to a client that has no key and no SVID", async () => {
    const { status, json } = await ask({ ...grant, client_id: keyless.clientId });
    expect([status, json.error]).toEqual([401, "invalid_client"]);
  });

  test("[SPF-201] is advertised, and X.509-SVIDs where certificates can be presented", async () => {
    const metadata = await (await fetch(`${running.issuer}/.well-known/oauth-authorization-server`)).json();
    expect(metadata).toMatchObject({
      token_endpoint_auth_methods_supported: expect.arrayContaining(["spiffe_jwt", "spiffe_x509"]),
    });
  });
});

describe("an X.509-SVID", () => {
  const asAgent = (party: Party, signer = root, id = party.clientId as SpiffeId) => {
    presented = new X509Certificate(makeSvid(signer, id));
    return ask({ ...grant, client_id: party.clientId });
  };

  test("[SPF-204] in the handshake authenticates its agent, which may have no key, and binds the token", async () => {
    const { status } = await asAgent(keyless);
    expect(status).toBe(200);
    const thumbprint = Buffer.from(presented?.fingerprint256.replaceAll(":", "") ?? "", "hex").toString(
      "base64url",
    );
    expect(running.journal.recorded.at(-1)).toMatchObject({
      client_id: keyless.clientId,
      cnf: { "x5t#S256": thumbprint },
    });
  });

  test("[SPF-204] authenticates nobody else: foreign authority, another's ID, an operator's, one that ended", async () => {
    expect((await asAgent(keyless, foreign)).status).toBe(401);
    expect((await asAgent(keyless, root, keyed.clientId as SpiffeId)).status).toBe(401);
    expect((await asAgent(operator)).status).toBe(401);
    presented = new X509Certificate(makeSvid(root, keyless.clientId, { nowMs: Date.now() - 7_200_000 }));
    expect((await ask({ ...grant, client_id: keyless.clientId })).status).toBe(401);
    presented = new X509Certificate(root.certificate);
    expect((await ask({ ...grant, client_id: keyless.clientId })).status).toBe(401);
  });
});
