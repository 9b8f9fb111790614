import { createHmac, generateKeyPairSync, type JsonWebKey } from "node:crypto";
import { makeKeyPair, type PrivateJwk } from "@countersign/sdk/client/key-pair";
import { signClientAssertion, signDpopProof } from "@countersign/sdk/client/sign";
import { accessTokenType } from "@countersign/sdk/contract/access-token";
import { createAgent, retireAgent } from "@countersign/sdk/contract/agents";
import { createOperator } from "@countersign/sdk/contract/operators";
import { createResource } from "@countersign/sdk/contract/resources";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exchangeOf, isActive, signedForm } from "../chaos/cast.ts";
import { depsFor, type Party } from "../server.ts";
import { forgeries, jwtBy, misused, publicHalf } from "./forgeries.ts";
import {
  type Caller,
  codeOf,
  type IssuerSigner,
  issuerSigner,
  newKeyEncryptionKey,
  openStage,
  redemptionOf,
  type Stage,
  tokenOf,
} from "./stage.ts";

// Which key signed a JWT, by which algorithm, and what for: all that can be told otherwise.
const removals: (() => Promise<void>)[] = [];
const kek = newKeyEncryptionKey();
let stage: Stage;
let issuer: IssuerSigner;
let operator: Caller;
let agent: Party;
let delegation: string;
let mailToken: string;
let mallory: PrivateJwk;
beforeAll(async () => {
  stage = await openStage((remove) => removals.push(remove), { COUNTERSIGN_KEK: kek });
  issuer = await issuerSigner(stage.installation, kek);
  operator = await stage.signIn(await stage.installation.operatorKey(), "admin");
  agent = await stage.cast.createAgent("courier");
  delegation = await stage.cast.grant(agent);
  mailToken = tokenOf(await stage.ask(agent, exchangeOf(delegation)));
  mallory = (await makeKeyPair()).privateJwk;
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

const deps = () => depsFor(stage.installation.issuer, stage.at(0));

/** Everywhere that a token can be presented to this server: what comes of it. */
async function presentEverywhere(token: string, holder: PrivateJwk, resource: Party) {
  const exchanged = [
    redemptionOf(token),
    { ...exchangeOf(delegation), actor_token: token, actor_token_type: accessTokenType },
    { ...exchangeOf(delegation), subject_token: token },
  ].map(async (parameters) => (await stage.ask(agent, parameters)).access_token);
  return {
    api: await stage.present(token, holder),
    introspected: await isActive(stage.installation, stage.at(0), resource, token),
    exchanged: await Promise.all(exchanged),
    asAssertion: await presentAsAssertion(token),
  };
}

async function presentAsAssertion(client_assertion: string): Promise<unknown> {
  const body = await signedForm(stage.installation, agent, exchangeOf(delegation));
  body.set("client_assertion", client_assertion);
  const response = await fetch(`${stage.at(0).url}/token`, { method: "POST", body });
  return Object(await response.json())["access_token"];
}

const nothing = {
  api: 401,
  introspected: false,
  exchanged: [undefined, undefined, undefined],
  asAssertion: undefined,
};

describe("[VER-001] a JWT that says that the issuer signed it", () => {
  test("is worth nothing anywhere when it did not: none, HMAC by the public key, a key it brings along, a kid of tricks", async () => {
    const claims = decodeJwt(mailToken);
    for (const token of forgeries(issuer, mallory, claims)) {
      expect([token, await presentEverywhere(token, agent.key, stage.cast.mailbox)]).toEqual([
        token,
        nothing,
      ]);
    }
    const admin = decodeJwt(operator.accessToken);
    for (const token of forgeries(issuer, mallory, admin)) {
      expect([token, await stage.present(token, operator.key)]).toEqual([token, 401]);
    }
    expect(await stage.present(operator.accessToken, operator.key)).toBe(200);
  });

  test("is worth nothing anywhere when it did, but as another type, issuer, audience or time", async () => {
    for (const token of misused(issuer, decodeJwt(mailToken))) {
      expect([token, await presentEverywhere(token, agent.key, stage.cast.mailbox)]).toEqual([
        token,
        nothing,
      ]);
    }
    for (const token of misused(issuer, decodeJwt(operator.accessToken))) {
      expect([token, await stage.present(token, operator.key)]).toEqual([token, 401]);
    }
    expect(await stage.present(issuer.sign(decodeJwt(operator.accessToken)), operator.key)).toBe(200);
  });
});

test("[VER-001] [ISS-003] whatever this server or its clients sign is worth nothing as anything else", async () => {
  const { installation, cast } = stage;
  const body = await signedForm(installation, cast.mailbox, { token: mailToken });
  const headers = { accept: "application/token-introspection+jwt" };
  const introspected = await fetch(`${stage.at(0).url}/introspect`, { method: "POST", body, headers });
  const introspection = await introspected.text();
  expect(decodeJwt(introspection)["token_introspection"]).toMatchObject({ active: true });
  const proof = { method: "POST", url: `${installation.issuer}/token`, key: agent.key };
  const others = [
    introspection,
    await signDpopProof(deps(), proof),
    await signDpopProof(deps(), { ...proof, accessToken: mailToken }),
    await signClientAssertion(deps(), { ...agent, issuer: "https://mail.example/" }),
  ];
  for (const other of others) {
    expect(await presentEverywhere(other, agent.key, cast.mailbox)).toEqual(nothing);
  }
  // As assertion the access token, as proof everything but a proof.
  const asProof = async (dpop: string) => {
    const form = await signedForm(installation, agent, exchangeOf(delegation));
    return (await fetch(`${stage.at(0).url}/token`, { method: "POST", body: form, headers: { dpop } }))
      .status;
  };
  const assertion = await signClientAssertion(deps(), { ...agent, issuer: installation.issuer });
  for (const dpop of [introspection, mailToken, assertion]) expect(await asProof(dpop)).toBe(400);
  expect(await presentAsAssertion(mailToken)).toBeUndefined();
  expect(await presentAsAssertion(assertion)).toBeDefined();
});

test("[VER-001] [VER-002] a proof is by the key that it names, made for one request, and takes no trick", async () => {
  const { accessToken } = operator;
  const good = await signDpopProof(deps(), {
    method: "GET",
    url: `${stage.installation.issuer}/v1/users`,
    key: operator.key,
    accessToken,
  });
  const [, payload = ""] = good.split(".");
  const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString());
  const header = { alg: "ES256", typ: "dpop+jwt", jwk: publicHalf(operator.key) };
  const proofs = [
    jwtBy(mallory, header, claims),
    jwtBy(mallory, { ...header, jwk: publicHalf(mallory) }, claims),
    jwtBy(mallory, { ...header, jwk: mallory }, claims),
    jwtBy(mallory, { ...header, jwk: undefined, kid: operator.key.kid }, claims),
    jwtBy(mallory, { ...header, alg: "none" }, claims, () => ""),
    jwtBy(mallory, { ...header, alg: "HS256", jwk: { kty: "oct", k: "AAAA" } }, claims, (input) =>
      createHmac("sha256", Buffer.from("AAAA", "base64url")).update(input).digest(),
    ),
    jwtBy(mallory, { ...header, typ: "JWT" }, claims),
    jwtBy(mallory, { ...header, typ: "at+jwt" }, claims),
    `${good},${good}`,
    `${good} `.repeat(2),
  ];
  for (const dpop of proofs) {
    const headers = { authorization: `DPoP ${accessToken}`, dpop };
    expect((await fetch(`${stage.at(0).url}/v1/users`, { headers })).status).toBe(401);
  }
  const headers = { authorization: `DPoP ${accessToken}`, dpop: good };
  expect((await fetch(`${stage.at(0).url}/v1/users`, { headers })).status).toBe(200);
});

describe("[AGT-001] a key that is registered", () => {
  const pem = { type: "spki", format: "pem" } as const;
  const other = (type: "P-384" | "secp256k1"): JsonWebKey =>
    generateKeyPairSync("ec", { namedCurve: type }).publicKey.export({ format: "jwk" });
  const zero = "A".repeat(43);

  test("is the public half of an ES256 key and nothing more: no private part, certificate, URL or other kind", async () => {
    const { publicJwk, privateJwk } = await makeKeyPair();
    const bad: unknown[] = [
      privateJwk,
      ...["p", "q", "dp", "dq", "qi", "k", "oth"].map((part) => ({ ...publicJwk, [part]: "AAAA" })),
      ...["x5c", "x5t", "x5u", "x5t#S256", "jku", "key_ops", "ext"].map((part) => ({
        ...publicJwk,
        [part]: ["x"],
      })),
      { ...publicJwk, alg: "none" },
      { ...publicJwk, alg: "HS256" },
      { ...publicJwk, use: "enc" },
      { ...publicJwk, crv: "P-384" },
      { ...publicJwk, x: zero, y: zero },
      { ...publicJwk, y: publicJwk.x },
      { ...publicJwk, x: `${publicJwk.x}=` },
      { ...publicJwk, x: publicJwk.x.replace(/^./, "+") },
      { kty: "oct", k: "AAAA" },
      { kty: "OKP", crv: "Ed25519", x: zero },
      other("P-384"),
      other("secp256k1"),
      generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "jwk" }),
      generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export(pem),
      { keys: [publicJwk] },
      [publicJwk],
      null,
    ];
    const { alice } = stage.cast;
    const bodies = (jwk: unknown) =>
      [
        ["/v1/agents", { owner: alice, name: "x", jwk }],
        ["/v1/operators", { name: "x", jwk }],
        ["/v1/resources", { audience: "https://x.example/", scope: ["x"], jwk }],
      ] as const;
    for (const jwk of bad) {
      for (const [path, body] of bodies(jwk)) {
        const { status, text } = await stage.call(operator, {
          method: "POST",
          path,
          body: JSON.stringify(body),
        });
        expect([path, jwk, status]).toEqual([path, jwk, 400]);
        expect(text).not.toContain(privateJwk.d);
      }
    }
  });

  test("[AGT-005] is nobody else's ever after, not even once who had it is retired", async () => {
    const gone = await stage.cast.createAgent("gone");
    await stage.cast.operator.perform(retireAgent, { params: { id: gone.id } });
    const { kty, crv, x, y } = gone.key;
    const jwk = { kty, crv, x, y };
    const { operator: by, alice } = stage.cast;
    const takings = [
      by.perform(createAgent, { body: { owner: alice, name: "heir", jwk } }),
      by.perform(createOperator, { body: { name: "heir", jwk } }),
      by.perform(createResource, { body: { audience: "https://heir.example/", scope: ["x"], jwk } }),
    ];
    expect(await Promise.all(takings.map(codeOf))).toEqual(Array(3).fill("conflict"));
  });
});
