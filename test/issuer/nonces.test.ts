import { createClient } from "@countersign/sdk/client/client";
import { signDpopProof } from "@countersign/sdk/client/sign";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { oauthClient, redeem } from "../../src/commands/demo/oauth.ts";
import { dpopNoncesOf } from "../../src/issuer/provider-seam.ts";
import {
  makeParty,
  nonceSecret,
  type Party,
  post,
  proofOf,
  type RunningIssuer,
  registered,
  signDeps,
  startIssuer,
} from "./issuer-harness.ts";

let agent: Party;
let careful: Party;
let operator: Party;
let running: RunningIssuer;
beforeAll(async () => {
  [agent, careful, operator] = await Promise.all([makeParty(), makeParty(), makeParty("operator")]);
  const clients = [
    registered(agent.clientId, agent.key),
    registered(careful.clientId, careful.key, { dpopNonceRequired: true }),
    registered(operator.clientId, operator.key),
  ];
  running = await startIssuer([], {
    findClient: async (clientId) => clients.find((client) => client.clientId === clientId),
  });
});
afterAll(() => running.stop());
afterEach(() => {
  vi.useRealTimers();
});

const token = (party: Party, dpop: string) =>
  post(running.issuer, "/token", party, {
    parameters: { grant_type: "client_credentials", resource: "https://mail.example" },
    headers: { dpop },
  });
const proofWith = (party: Party, nonce?: string) =>
  signDpopProof(signDeps, { key: party.key, method: "POST", url: `${running.issuer}/token`, nonce });

describe("[ISS-001] a DPoP proof", () => {
  test("is answered with a nonce each time, and one that bears it is taken", async () => {
    const first = await token(agent, await proofWith(agent));
    const nonce = first.headers.get("dpop-nonce") ?? "";
    expect([first.status, nonce]).toEqual([200, expect.stringMatching(/^[\w-]{43}$/)]);
    const second = await token(agent, await proofWith(agent, nonce));
    expect([second.status, second.headers.get("dpop-nonce")]).toEqual([200, expect.any(String)]);
    const refused = await token(agent, "no proof");
    expect([refused.status, refused.headers.get("dpop-nonce")]).toEqual([400, expect.any(String)]);
  });

  test.each(["forged", "", "A".repeat(43)])("with the forged nonce %j is refused", async (nonce) => {
    const before = running.journal.issued.length;
    const { status, json, headers } = await token(careful, await proofWith(careful, nonce));
    expect([status, json.error]).toEqual([400, "use_dpop_nonce"]);
    expect(headers.get("dpop-nonce")).toMatch(/^[\w-]{43}$/);
    expect(running.journal.issued).toHaveLength(before);
  });

  test("with a nonce of another secret, or of ten minutes ago, is refused", async () => {
    const foreign = dpopNoncesOf(new Uint8Array(32).fill(1)).next();
    expect((await token(agent, await proofWith(agent, foreign))).json.error).toBe("use_dpop_nonce");
    const nonce = dpopNoncesOf(nonceSecret).next();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 600_000 });
    expect((await token(agent, await proofWith(agent, nonce))).json.error).toBe("use_dpop_nonce");
  });

  test("with a nonce that another process handed out is taken", async () => {
    const nonce = dpopNoncesOf(nonceSecret).next();
    expect((await token(careful, await proofWith(careful, nonce))).status).toBe(200);
  });

  test("is good once with a nonce as well", async () => {
    const proof = await proofWith(agent, dpopNoncesOf(nonceSecret).next());
    const answers = await Promise.all(Array.from({ length: 8 }, () => token(agent, proof)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(400)]);
  });
});

describe("[ISS-002] a proof without a nonce", () => {
  test("is refused of operators, and of clients that an operator said it of; of nobody else", async () => {
    for (const party of [operator, careful]) {
      const { status, json } = await token(party, await proofWith(party));
      expect([status, json.error]).toEqual([400, "use_dpop_nonce"]);
    }
    expect((await token(agent, await proofOf(`${running.issuer}/token`, agent.key))).status).toBe(200);
  });

  test("or by another key than its own makes up no operator's token, whoever has its assertion", async () => {
    const nonce = dpopNoncesOf(nonceSecret).next();
    const before = running.journal.issued.length;
    const { status, json } = await token(operator, await proofWith(agent, nonce));
    expect([status, json.error]).toEqual([400, "invalid_dpop_proof"]);
    expect(running.journal.issued).toHaveLength(before);
    expect((await token(operator, await proofWith(operator, nonce))).status).toBe(200);
  });

  test("is made anew by the SDK's client, with the nonce, once", async () => {
    const sent: string[] = [];
    const deps = {
      ...signDeps,
      fetch: (input: string | URL | Request, init?: RequestInit) => {
        sent.push(String(input));
        return fetch(input, init);
      },
    };
    const client = createClient(deps, { ...operator, issuer: running.issuer });
    const target = { resource: "https://mail.example", scope: "mail.read" };
    expect((await client.requestToken(target)).token_type).toBe("DPoP");
    expect((await client.requestToken(target)).token_type).toBe("DPoP");
    expect(sent).toHaveLength(3);
  });

  test("is made anew by openid-client too", async () => {
    const client = await oauthClient(running.issuer, careful.clientId, careful.key);
    const request = { delegation: "dlg_leaf", resource: "https://mail.example", scope: "mail.read" };
    expect((await redeem(client, request)).token_type).toBe("dpop");
  });
});
