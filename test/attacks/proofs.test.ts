import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { issuerKeys } from "@countersign/sdk/client/issuer-keys";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { signDpopProof } from "@countersign/sdk/client/sign";
import { createDelegation } from "@countersign/sdk/contract/delegations";
import { createResource } from "@countersign/sdk/contract/resources";
import { authenticateRequest } from "@countersign/sdk/verify/authenticate-request";
import { createProofReplayMemory } from "@countersign/sdk/verify/proof-replay";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { signedForm } from "../chaos/cast.ts";
import { depsFor, type Party } from "../server.ts";
import { openStage, type Signer, type Stage } from "./stage.ts";

// What can be done with a token and a proof that somebody else was sent: at two resource servers and at the issuer.
const removals: (() => Promise<void>)[] = [];
let stage: Stage;
let agent: Party;
let here: ResourceServer;
let there: ResourceServer;
let tokens: { readonly here: string; readonly there: string };
beforeAll(async () => {
  stage = await openStage((remove) => removals.push(remove), {}, 2);
  [here, there] = [await openResourceServer(), await openResourceServer()];
  agent = await stage.cast.createAgent("courier");
  tokens = { here: await tokenFor(here), there: await tokenFor(there) };
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

/** A resource server of which nothing is known but the SDK: it says why it refuses. */
interface ResourceServer {
  readonly audience: string;
}

async function openResourceServer(): Promise<ResourceServer> {
  const { issuer } = stage.installation;
  const deps = {
    keys: issuerKeys(issuer),
    replays: createProofReplayMemory({ now: Date.now }),
    now: Date.now,
  };
  const refusalOf = async ({ method = "", url = "", headers }: IncomingMessage) => {
    const dpop = typeof headers["dpop"] === "string" ? headers["dpop"] : undefined;
    const presented = { method, url: `${audience}${url}`, authorization: headers.authorization, dpop };
    try {
      await authenticateRequest(deps, presented, { issuer, audience });
      return undefined;
    } catch (error) {
      if (error instanceof VerificationError) return error.code;
      throw error;
    }
  };
  const server = createServer((request, response) => {
    refusalOf(request).then(
      (code) => response.writeHead(code === undefined ? 200 : 401).end(code ?? "welcome"),
      () => response.writeHead(500).end(),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on a port has an address with one.
  const audience = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  removals.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  const { operator, alice } = stage.cast;
  await operator.perform(createResource, { body: { audience, scope: ["read"], owner: alice } });
  return { audience };
}

async function tokenFor({ audience }: ResourceServer): Promise<string> {
  const { operator, alice } = stage.cast;
  const body = { from_user: alice, to_agent: agent.id, resource: audience, scope: ["read"] };
  const { id } = await operator.perform(createDelegation, { body });
  const client = stage.clientOf(agent);
  return (await client.redeemDelegation({ delegation: id, resource: audience })).access_token;
}

const deps = () => depsFor(stage.installation.issuer, stage.at(0));
const proof = (url: string, accessToken: string, more: Partial<Parameters<typeof signDpopProof>[1]> = {}) =>
  signDpopProof(deps(), { key: agent.key, method: "GET", url, accessToken, ...more });

async function present(url: string, accessToken: string, dpop: string, scheme = "DPoP"): Promise<string> {
  const headers = { authorization: `${scheme} ${accessToken}`, dpop };
  return (await fetch(url, { headers })).text();
}

describe("[VER-001] [VER-002] a token and its proof", () => {
  test("replayed at another resource server are worth nothing, whatever of the two is made anew", async () => {
    const [mine, other] = [`${here.audience}/mail`, `${there.audience}/mail`];
    const captured = await proof(mine, tokens.here);
    expect(await present(other, tokens.here, captured)).toBe("audience_mismatch");
    expect(await present(other, tokens.here, await proof(other, tokens.here))).toBe("audience_mismatch");
    expect(await present(other, tokens.there, captured)).toBe("proof_mismatch");
    expect(await present(other, tokens.there, await proof(mine, tokens.there))).toBe("proof_mismatch");
    expect(await present(other, tokens.there, await proof(other, tokens.here))).toBe("proof_mismatch");
    // Nobody has used it up by trying elsewhere.
    expect(await present(mine, tokens.here, captured)).toBe("welcome");
  });

  test("replayed at the same one are worth nothing, nor for another request there", async () => {
    const url = `${here.audience}/mail`;
    const captured = await proof(url, tokens.here);
    expect(await present(url, tokens.here, captured)).toBe("welcome");
    expect(await present(url, tokens.here, captured)).toBe("proof_replayed");
    expect(await present(`${here.audience}/other`, tokens.here, await proof(url, tokens.here))).toBe(
      "proof_mismatch",
    );
    expect(await present(url, tokens.here, await proof(url, tokens.here, { method: "POST" }))).toBe(
      "proof_mismatch",
    );
    const { privateJwk } = await makeKeyPair();
    expect(await present(url, tokens.here, await proof(url, tokens.here, { key: privateJwk }))).toBe(
      "confirmation_mismatch",
    );
    expect(await present(url, tokens.here, captured, "Bearer")).toBe("proof_missing");
  });

  test("for a resource are worth nothing at the issuer's API, nor the other way round", async () => {
    const api = `${stage.installation.issuer}/v1/delegations`;
    const own = await stage.signIn(agent, "delegate");
    const atApi = async (accessToken: string) => {
      const headers = { authorization: `DPoP ${accessToken}`, dpop: await proof(api, accessToken) };
      return (await fetch(api, { headers })).status;
    };
    for (const token of [tokens.here, tokens.there]) expect(await atApi(token)).toBe(401);
    expect(await atApi(own.accessToken)).toBe(403);
    const url = `${here.audience}/mail`;
    expect(await present(url, own.accessToken, await proof(url, own.accessToken))).toBe("audience_mismatch");
  });
});

describe("at the token endpoint", () => {
  const tokenUrl = () => `${stage.installation.issuer}/token`;
  async function ask(party: Signer, dpop: string | undefined, scope: string, place = 0) {
    const target = { grant_type: "client_credentials", resource: `${stage.installation.issuer}/v1`, scope };
    const body = await signedForm(stage.installation, party, target);
    const headers: Record<string, string> = dpop === undefined ? {} : { dpop };
    const response = await fetch(`${stage.at(place).url}/token`, { method: "POST", body, headers });
    const { error = "none" } = z.looseObject({ error: z.string().optional() }).parse(await response.json());
    return { error, nonce: response.headers.get("dpop-nonce") ?? undefined };
  }
  const proofOf = (key: Signer["key"], nonce?: string) =>
    signDpopProof(deps(), { key, method: "POST", url: tokenUrl(), nonce });

  test("[ISS-001] [ISS-002] what an operator signed in advance is worth nothing: it lacks a nonce of the last minutes", async () => {
    const operator = await stage.installation.operatorKey();
    const { privateJwk: thief } = await makeKeyPair();
    expect((await ask(operator, undefined, "admin")).error).not.toBe("none");
    const first = await ask(operator, await proofOf(operator.key), "admin");
    expect([first.error, first.nonce]).toEqual(["use_dpop_nonce", expect.any(String)]);
    for (const forged of [
      "",
      "x",
      randomBytes(32).toString("base64url"),
      `${first.nonce}x`,
      first.nonce?.slice(0, -2),
    ]) {
      const { error } = await ask(operator, await proofOf(operator.key, forged || undefined), "admin");
      expect(error).toBe("use_dpop_nonce");
    }
    expect((await ask(operator, await proofOf(thief, first.nonce), "admin")).error).not.toBe("none");
    // By one secret in all processes: the other server takes what this one handed out.
    expect((await ask(operator, await proofOf(operator.key, first.nonce), "admin", 1)).error).toBe("none");
  });

  test("[RPL-001] one proof and one assertion serve once, at whichever server, however many send them at once", async () => {
    const dpop = await proofOf(agent.key);
    const asked = Array.from({ length: 8 }, (_, place) => ask(agent, dpop, "delegate", place));
    const errors = (await Promise.all(asked)).map(({ error }) => error);
    expect(errors.filter((error) => error === "none")).toHaveLength(1);
    const target = {
      grant_type: "client_credentials",
      resource: `${stage.installation.issuer}/v1`,
      scope: "delegate",
    };
    const body = await signedForm(stage.installation, agent, target);
    const sent = Array.from({ length: 8 }, (_, place) =>
      fetch(`${stage.at(place).url}/token`, { method: "POST", body }),
    );
    const statuses = (await Promise.all(sent)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
  });
});
