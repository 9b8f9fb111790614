import { createHmac, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OrganizationId } from "@countersign/sdk/model/ids";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { readK8sClusters } from "../../src/app/k8s-clusters.ts";
import { readConfig } from "../../src/config.ts";
import { DomainError } from "../../src/domain/domain-error.ts";
import { createK8sPsatAttestor } from "../../src/svid/attest/node/k8s-psat.ts";
import {
  type ApiServer,
  accountOf,
  type ClusterKey,
  clusterKey,
  encoded,
  projectedToken,
  startApiServer,
  type TokenChanges,
} from "../k8s-api-server.ts";
import { otherSignature } from "../other-signature.ts";
import { usesUpAtOnce } from "../used-once.ts";

const directory = mkdtempSync(join(tmpdir(), "k8s-psat-"));
const organization = "org_01k9zzzzzzzzzzzzzzzzzzzzzz" as OrganizationId;
const account = `${accountOf.namespace}:${accountOf.name}`;
const issuer = "https://id.example.com";
const publicKey = new Uint8Array();
let one: ApiServer;
let other: ApiServer;
let nowMs = Date.now();
beforeAll(async () => {
  one = await startApiServer("the server's own token");
  other = await startApiServer();
});
afterEach(() => {
  one.instead.clear();
  other.instead.clear();
  one.asked.length = 0;
  other.asked.length = 0;
  nowMs = Date.now();
});
afterAll(() => {
  one.close();
  other.close();
  rmSync(directory, { recursive: true });
});

function fileOf(name: string, content: unknown): string {
  const path = join(directory, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

const settingsOf = (name: string, server: ApiServer, changes: Record<string, unknown> = {}) => ({
  name,
  issuer: server.url,
  ca_file: fileOf(`${name}.pem`, server.ca),
  audience: "countersign",
  service_accounts: [account],
  ...changes,
});

const clustersOf = (settings: unknown) =>
  readK8sClusters(
    { now: () => nowMs, issuer },
    readConfig({}, { COUNTERSIGN_K8S_CLUSTERS: fileOf("clusters.json", settings) }),
  );

/** An attestor as a server makes one from the operator's file. */
async function attestorOf(...settings: readonly unknown[]) {
  const attestor = createK8sPsatAttestor({
    now: () => nowMs,
    useUp: usesUpAtOnce(),
    clusters: await clustersOf(settings),
    organization,
  });
  return (token: string) => attestor.attest({ token }, publicKey);
}

const both = () =>
  attestorOf(
    settingsOf("one", one, { token_file: fileOf("token", "the server's own token\n") }),
    settingsOf("other", other),
  );

const tokenOf = (changes: TokenChanges = {}) => projectedToken(one.url, one.key, { nowMs, ...changes });

const refusalOf = (attested: Promise<unknown>): Promise<string> =>
  attested.then(
    () => "accepted",
    (error: unknown) => {
      if (error instanceof DomainError && error.code === "not_attested") return error.publicDetail;
      throw error;
    },
  );

const stranger = "the token is not one that a cluster signed for this server";

describe("[NOD-060] a projected service-account token", () => {
  it("makes the machine that its pod runs on a node, known by the cluster and the node's uid", async () => {
    const attest = await both();
    expect(await attest(tokenOf())).toEqual({
      organization,
      attestation: "k8s_psat",
      subject: "one:node:517eb86e-b863-451b-bf70-86cb61439a3a",
      name: "worker-1.example",
      selectors: [
        "k8s_psat:cluster:one",
        "k8s_psat:agent_ns:countersign",
        "k8s_psat:agent_sa:countersign-node",
        "k8s_psat:agent_pod_name:countersign-node-x7k2p",
        "k8s_psat:agent_pod_uid:0d8b260e-ef0e-45fb-be8e-ff44f97722e8",
        "k8s_psat:agent_node_name:worker-1.example",
        "k8s_psat:agent_node_uid:517eb86e-b863-451b-bf70-86cb61439a3a",
      ],
      once: expect.objectContaining({ into: "replay" }),
    });
    expect(one.asked).toEqual(
      ["/.well-known/openid-configuration", "/openid/v1/jwks"].map((path) => ({
        path,
        authorization: "Bearer the server's own token",
      })),
    );
    expect(other.asked).toEqual([]);
  });

  it("is of its pod where the cluster tells no node", async () => {
    const attest = await both();
    const { subject, selectors, name } = await attest(tokenOf({ bound: { node: undefined } }));
    expect(subject).toBe("one:pod:0d8b260e-ef0e-45fb-be8e-ff44f97722e8");
    expect(name).toBe("countersign-node-x7k2p");
    expect(selectors.filter((selector) => selector.includes("agent_node"))).toEqual([]);
  });

  it("is known by the same keys for ten minutes, and by new ones when they are published", async () => {
    const attest = await both();
    await attest(tokenOf());
    await attest(tokenOf());
    expect(one.asked).toHaveLength(2);
    const next = clusterKey();
    one.instead.set("/openid/v1/jwks", (_, response) =>
      response.end(JSON.stringify({ keys: [next.publicJwk] })),
    );
    nowMs += 61_000;
    expect((await attest(tokenOf({ key: next }))).subject).toContain("one:");
    expect(await refusalOf(attest(tokenOf()))).toBe(stranger);
  });
});

const foreignKey = clusterKey();
const byNobody = (header: object, signature: (signed: string) => string) => {
  const [, payload = ""] = tokenOf().split(".");
  const signed = `${encoded(header)}.${payload}`;
  return `${signed}.${signature(signed)}`;
};
const spoiled = (token: string) => `${token.slice(0, -8)}AAAAAAAA`;

describe("[NOD-061] no node is made by a token", () => {
  it.each<[string, () => string, string]>([
    [
      "for another audience",
      () => tokenOf({ claims: { aud: ["https://kubernetes.default.svc"] } }),
      stranger,
    ],
    ["for somebody else too", () => tokenOf({ claims: { aud: ["countersign", "vault"] } }), stranger],
    ["for nobody", () => tokenOf({ claims: { aud: undefined } }), stranger],
    ["of an issuer that nobody set up", () => tokenOf({ claims: { iss: "https://evil.example" } }), stranger],
    ["signed by another cluster's key", () => tokenOf({ key: other.key }), stranger],
    [
      "signed by a key under the cluster's kid",
      () => tokenOf({ key: { ...foreignKey, kid: one.key.kid } }),
      stranger,
    ],
    ["of another cluster that names this one", () => projectedToken(one.url, other.key), stranger],
    ["whose signature was changed", () => spoiled(tokenOf()), stranger],
    [
      "of no algorithm",
      () => byNobody({ alg: "none", kid: one.key.kid }, () => ""),
      "the token is not one of an API server",
    ],
    [
      "signed by the public key as if it were a secret",
      () =>
        byNobody({ alg: "HS256", kid: one.key.kid }, (signed) =>
          createHmac("sha256", JSON.stringify(one.key.publicJwk)).update(signed).digest("base64url"),
        ),
      "the token is not one of an API server",
    ],
    [
      "of another type",
      () => tokenOf({ header: { typ: "at+jwt" } }),
      "the token is not one of an API server",
    ],
    [
      "that asks for what we don't know",
      () => tokenOf({ header: { crit: ["b64"], b64: false } }),
      "the token is not one of an API server",
    ],
    [
      "that names no key",
      () => tokenOf({ header: { kid: undefined } }),
      "the token is not one of an API server",
    ],
    ["that is none", () => "x.y.z", "the token is not a signed JWT"],
  ])("%s", async (_, token, detail) => {
    const attest = await both();
    expect(await refusalOf(attest(token()))).toBe(detail);
    // It was not for lack of keys.
    expect(await refusalOf(attest(tokenOf()))).toBe("accepted");
  });

  it.each<[string, TokenChanges, string]>([
    ["that has expired", { nowMs: Date.now() - 600_000 }, "the token is over"],
    [
      "that lasts, and is older than ten minutes",
      { nowMs: Date.now() - 601_000, claims: { exp: 4_000_000_000 } },
      "the token is over",
    ],
    ["that never ends", { claims: { exp: undefined } }, "the token has no exp and iat that are times"],
    [
      "without a time of making",
      { claims: { iat: undefined } },
      "the token has no exp and iat that are times",
    ],
    ["that is not good yet", { claims: { nbf: Date.now() / 1000 + 60 } }, "the token is not good yet"],
    [
      "of another service account",
      {
        claims: { sub: "system:serviceaccount:countersign:default" },
        bound: { serviceaccount: { name: "default", uid: "1" } },
      },
      "the token's service account is not one whose pods may join",
    ],
    [
      "of that service account in another namespace",
      { claims: { sub: "system:serviceaccount:evil:countersign-node" }, bound: { namespace: "evil" } },
      "the token's service account is not one whose pods may join",
    ],
    [
      "whose sub is somebody else",
      { claims: { sub: "system:serviceaccount:evil:admin" } },
      "the token's sub is not its service account",
    ],
    [
      "of no pod, as anybody gets it who may create tokens",
      { bound: { pod: undefined } },
      "the token is not of a pod",
    ],
    [
      "whose pod has a name that is none",
      { bound: { pod: { name: "a\nk8s_psat:agent_ns:kube-system", uid: "1" } } },
      "the token is not of a pod",
    ],
  ])("%s", async (_, changes, detail) => {
    const attest = await both();
    expect(await refusalOf(attest(tokenOf(changes)))).toContain(detail);
  });

  it("that was used before, whatever came of it, for another key or the same", async () => {
    const attest = await both();
    const token = tokenOf();
    const outcomes = await Promise.all([1, 2, 3].map(() => refusalOf(attest(token))));
    expect(outcomes.filter((outcome) => outcome === "accepted")).toHaveLength(1);
    expect(await refusalOf(attest(token))).toContain("used before");
  });

  it("that was used before, under another signature of ECDSA", async () => {
    const { privateKey, publicKey: ofIt } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const publicJwk = { ...ofIt.export({ format: "jwk" }), kid: "ec", alg: "ES256", use: "sig" };
    const key = { kid: "ec", privateKey, publicJwk };
    const pinned = fileOf("ec.json", { keys: [publicJwk] });
    const attest = await attestorOf({
      name: "a",
      issuer: "a",
      jwks_file: pinned,
      audience: "countersign",
      service_accounts: [account],
    });
    const token = projectedToken("a", key, { header: { alg: "ES256" } });
    expect(await refusalOf(attest(token))).toBe("accepted");
    expect(await refusalOf(attest(otherSignature(token)))).toContain("used before");
  });

  it("that falls under two clusters, which have one issuer, one audience and one key", async () => {
    const pinned = fileOf("shared.json", { keys: [one.key.publicJwk] });
    const attest = await attestorOf(
      {
        name: "a",
        issuer: "https://kubernetes.default.svc.cluster.local",
        jwks_file: pinned,
        audience: "countersign",
        service_accounts: [account],
      },
      {
        name: "b",
        issuer: "https://kubernetes.default.svc.cluster.local",
        jwks_file: pinned,
        audience: "countersign",
        service_accounts: [account],
      },
    );
    const token = projectedToken("https://kubernetes.default.svc.cluster.local", one.key);
    expect(await refusalOf(attest(token))).toBe(stranger);
  });
});

describe("[NOD-062] clusters of one issuer's name", () => {
  const issuer = "https://kubernetes.default.svc.cluster.local";
  const pin = (name: string, key: ClusterKey) => ({
    name,
    issuer,
    jwks_file: fileOf(`${name}.json`, { keys: [key.publicJwk] }),
    audience: "countersign",
    service_accounts: [account],
  });

  it("are told apart by the key that signed", async () => {
    const attest = await attestorOf(pin("a", one.key), pin("b", other.key));
    expect((await attest(projectedToken(issuer, one.key))).subject).toMatch(/^a:/);
    expect((await attest(projectedToken(issuer, other.key))).subject).toMatch(/^b:/);
    const posing = { ...other.key, kid: one.key.kid };
    expect(await refusalOf(attest(projectedToken(issuer, posing)))).toBe(stranger);
  });

  it("follow a file of pinned keys that is replaced", async () => {
    const attest = await attestorOf(pin("a", one.key));
    pin("a", other.key);
    expect(await refusalOf(attest(projectedToken(issuer, one.key)))).toBe(stranger);
    expect((await attest(projectedToken(issuer, other.key))).subject).toMatch(/^a:/);
  });

  it("are reached by jwks_uri, whatever the issuer's name", async () => {
    const settings = settingsOf("one", other, { issuer, jwks_uri: `${other.url}/openid/v1/jwks` });
    const attest = await attestorOf(settings);
    expect((await attest(projectedToken(issuer, other.key))).subject).toMatch(/^one:/);
    expect(other.asked.map(({ path }) => path)).toEqual(["/openid/v1/jwks"]);
  });
});

describe("[NOD-063] the keys of a cluster", () => {
  it.each<[string, (response: Parameters<Parameters<ApiServer["instead"]["set"]>[1]>[1]) => void]>([
    ["too long", (response) => response.end(`{"keys":[],"x":"${"x".repeat(300 * 1024)}"}`)],
    ["endless", (response) => void response.write("{")],
    ["elsewhere", (response) => response.writeHead(302, { location: `${other.url}/openid/v1/jwks` }).end()],
    ["no keys", (response) => response.end('{"keys":"none"}')],
    ["refused", (response) => response.writeHead(403).end()],
  ])("are not believed when the answer is %s, and asked for seldom", async (_, answer) => {
    one.instead.set("/openid/v1/jwks", (_request, response) => answer(response));
    const attest = await both();
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => attest(tokenOf())));
    expect(outcomes.map((outcome) => outcome.status === "rejected" && outcome.reason.name)).toEqual(
      Array(3).fill("KeysUnreachable"),
    );
    await expect(attest(tokenOf())).rejects.toThrow("a moment ago");
    expect([one.asked.length, other.asked.length]).toEqual([2, 0]);
  });

  it("are asked for at the hosts that the operator named alone, and the token is sent nowhere else", async () => {
    const elsewhere = { issuer: one.url, jwks_uri: `${other.url}/openid/v1/jwks` };
    one.instead.set("/.well-known/openid-configuration", (_, response) =>
      response.end(JSON.stringify(elsewhere)),
    );
    const attest = await both();
    await expect(attest(tokenOf())).rejects.toMatchObject({
      cause: { message: expect.stringContaining("set jwks_uri") },
    });
    expect(other.asked).toEqual([]);
  });

  it("are believed of who proves to be the cluster's API server alone", async () => {
    const attest = await attestorOf({ ...settingsOf("one", other), ca_file: fileOf("wrong.pem", one.ca) });
    await expect(attest(projectedToken(other.url, other.key))).rejects.toThrow("can't be read");
    expect(other.asked).toEqual([]);
  });
});

describe("[NOD-064] the file of clusters", () => {
  it.each<[string, unknown]>([
    ["is a list", { clusters: [] }],
    [
      "names a cluster once",
      [1, 2].map(() => ({ name: "a", issuer: "https://a", service_accounts: ["a:b"] })),
    ],
    ["says where keys are", [{ name: "a", issuer: "kubernetes/serviceaccount", service_accounts: ["a:b"] }]],
    ["has https alone", [{ name: "a", issuer: "http://a", service_accounts: ["a:b"] }]],
    ["names service accounts", [{ name: "a", issuer: "https://a", service_accounts: [] }]],
    ["has no patterns", [{ name: "a", issuer: "https://a", service_accounts: ["a:*"] }]],
    [
      "takes no old tokens",
      [{ name: "a", issuer: "https://a", service_accounts: ["a:b"], max_age_seconds: 601 }],
    ],
    [
      "has no words of its own",
      [{ name: "a", issuer: "https://a", service_accounts: ["a:b"], audiences: [] }],
    ],
    [
      "names files that are there",
      [{ name: "a", issuer: "https://a", service_accounts: ["a:b"], ca_file: "none" }],
    ],
    ["pins public keys", [{ name: "a", issuer: "a", service_accounts: ["a:b"], jwks_file: "private.json" }]],
    ["can be read", "[{"],
  ])("%s, or the server does not start", async (_, settings) => {
    fileOf("private.json", { keys: [{ kty: "RSA", kid: "a", n: "AQAB", e: "AQAB", d: "AQAB" }] });
    await expect(clustersOf(settings)).rejects.toThrow(/^COUNTERSIGN_K8S_CLUSTERS/);
  });

  it("[NOD-061] may be YAML, and there may be none; without an audience a token is for this installation alone", async () => {
    const yaml = "- name: a\n  issuer: https://a.example\n  service_accounts: ['a:b']\n";
    expect(await clustersOf(yaml)).toMatchObject([{ name: "a", audience: issuer, maxAgeSeconds: 600 }]);
    expect(await readK8sClusters({ now: () => nowMs, issuer }, readConfig({}, {}))).toEqual([]);
  });
});
