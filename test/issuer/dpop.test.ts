import { signDpopProof } from "@countersign/sdk/client/sign";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  assertionOf,
  assertionType,
  makeParty,
  type Party,
  post,
  proofOf,
  type RunningIssuer,
  sendToHost,
  signDeps,
  startIssuer,
} from "./issuer-harness.ts";

let agent: Party;
let running: RunningIssuer;

beforeAll(async () => {
  agent = await makeParty();
  running = await startIssuer([agent]);
});
afterAll(() => running.stop());
beforeEach(() => {
  for (const list of Object.values(running.journal)) list.length = 0;
});

async function ed25519ProofOf(htu: string): Promise<string> {
  const { publicKey, privateKey } = await generateKeyPair("EdDSA");
  return new SignJWT({ htm: "POST", htu, jti: "1" })
    .setProtectedHeader({ typ: "dpop+jwt", alg: "EdDSA", jwk: await exportJWK(publicKey) })
    .setIssuedAt()
    .sign(privateKey);
}

const clientCredentials = { grant_type: "client_credentials", resource: "https://mail.example" };

describe("a DPoP proof", () => {
  const url = () => `${running.issuer}/token`;
  const withProof = (dpop: string) =>
    post(running.issuer, "/token", agent, { parameters: clientCredentials, headers: { dpop } });

  test("is good once: of ten concurrent uses one wins", async () => {
    const proof = await proofOf(url(), agent.key);
    const answers = await Promise.all(Array.from({ length: 10 }, () => withProof(proof)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(400)]);
    expect(running.journal.issued).toHaveLength(1);
    expect(running.journal.failures.map(({ reason }) => reason)).toEqual(
      Array(9).fill("dpop_proof_replayed"),
    );
  });

  test("is remembered for as long as its time may pass, even when it is dated ahead", async () => {
    const remembered: Date[] = [];
    const issuer = await startIssuer([agent], {
      rememberOnce: async (_key, expiresAt) => remembered.push(expiresAt) > 0,
    });
    const ahead = { ...signDeps, now: () => Date.now() + 290_000 };
    const dpop = await signDpopProof(ahead, {
      key: agent.key,
      method: "POST",
      url: `${issuer.issuer}/token`,
    });
    const { status } = await post(issuer.issuer, "/token", agent, {
      parameters: clientCredentials,
      headers: { dpop },
    });
    expect(status).toBe(200);
    expect(remembered[1]?.getTime()).toBeGreaterThanOrEqual(Date.now() + 590_000);
    await issuer.stop();
  });

  test.each<[string, () => Promise<string>]>([
    ["for another endpoint", () => proofOf(`${running.issuer}/introspect`, agent.key)],
    ["for another host", () => proofOf("http://elsewhere.example/token", agent.key)],
    ["for another method", () => signDpopProof(signDeps, { key: agent.key, method: "GET", url: url() })],
    ["that is no JWT", async () => "proof"],
    [
      "that is sent twice",
      async () => `${await proofOf(url(), agent.key)}, ${await proofOf(url(), agent.key)}`,
    ],
    ["that is a client assertion", () => assertionOf(running.issuer, agent)],
    ["by an Ed25519 key", () => ed25519ProofOf(url())],
  ])("%s is refused before any journey", async (_name, proof) => {
    const answer = await withProof(await proof());
    expect([answer.status, answer.json.error]).toEqual([400, "invalid_dpop_proof"]);
    expect(running.journal.issued).toEqual([]);
    expect(running.journal.failures).toMatchObject([
      { reason: "invalid_dpop_proof", clientId: agent.clientId },
    ]);
  });

  test("that is old is refused before any journey, and told of the nonce that makes up for a wrong clock", async () => {
    const old = { ...signDeps, now: () => Date.now() - 400_000 };
    const answer = await withProof(await signDpopProof(old, { key: agent.key, method: "POST", url: url() }));
    expect([answer.status, answer.json.error]).toEqual([400, "use_dpop_nonce"]);
    expect(running.journal.issued).toEqual([]);
    expect(running.journal.refused).toMatchObject([{ error: "use_dpop_nonce", clientId: agent.clientId }]);
  });

  test("is checked against the issuer's own URL, whatever host the request names", async () => {
    const send = async (proofUrl: string) => {
      const body = new URLSearchParams({
        ...clientCredentials,
        client_assertion_type: assertionType,
        client_assertion: await assertionOf(running.issuer, agent),
      });
      const dpop = await proofOf(proofUrl, agent.key);
      return sendToHost(url(), "evil.example", body.toString(), { dpop, "x-forwarded-host": "evil.example" });
    };
    expect((await send("http://evil.example/token")).text).toContain("invalid_dpop_proof");
    expect((await send(url())).status).toBe(200);
  });
});
