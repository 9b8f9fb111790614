import { join } from "node:path";
import { makeKeyPair, type PrivateJwk } from "@countersign/sdk/client/key-pair";
import { signDpopProof } from "@countersign/sdk/client/sign";
import { delegationTokenType } from "@countersign/sdk/contract/access-token";
import { createAgent, suspendAgent } from "@countersign/sdk/contract/agents";
import { createDelegation } from "@countersign/sdk/contract/delegations";
import { createEntry, deleteEntry } from "@countersign/sdk/contract/entries";
import { listSigningKeys, taintAuthority } from "@countersign/sdk/contract/signing-keys";
import { decodeJwt, decodeProtectedHeader, importJWK, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JWTSVIDResponse } from "../../src/workload-api/generated/workload.ts";
import { audience, type Cast, castPlayers, scope } from "../chaos/cast.ts";
import { depsFor, type Installation, makeInstallation, type ServerProcess } from "../server.ts";
import { ask, security, self, statusOf, workloadClient } from "../workload-api/socket.ts";

let installation: Installation;
let server: ServerProcess;
let cast: Cast;
let client: ReturnType<typeof workloadClient>;
const removals: (() => Promise<void>)[] = [];

beforeAll(async () => {
  installation = await makeInstallation({}, (remove) => removals.push(remove), ["--attest-own-uid"]);
  server = await installation.startServer();
  cast = await castPlayers(installation, server);
  client = workloadClient(join(installation.dataDir, "workload.sock"));
});
afterAll(async () => {
  client.close();
  for (const remove of removals) await remove();
});

/** An agent without any key, an entry of its, and a delegation to it. */
async function makeWorkload(selectors = [self]) {
  const body = { owner: cast.alice, name: "keyless", kind: "worker" } as const;
  const { id, spiffe_id: spiffeId } = await cast.operator.perform(createAgent, { body });
  const entry = (await cast.operator.perform(createEntry, { body: { agent: id, selectors } })).id;
  const grant = { from_user: cast.alice, to_agent: id, resource: audience, scope: [scope] };
  const delegation = (await cast.operator.perform(createDelegation, { body: grant })).id;
  return { id, spiffeId, entry, delegation };
}

const fetchJwt = (spiffeId: string, to: readonly string[]) =>
  ask<JWTSVIDResponse>((respond) => client.fetchJwtsvid({ audience: [...to], spiffeId }, security, respond));

async function svidOf(spiffeId: string, to: readonly string[] = [installation.issuer]): Promise<string> {
  return (await fetchJwt(spiffeId, to)).svids[0]?.svid ?? expect.unreachable();
}

/** The `error` of the answer, or OK. */
async function redeem(
  assertion: string,
  key: PrivateJwk,
  delegation: string,
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { issuer } = installation;
  const proof = await signDpopProof(depsFor(issuer, server), { key, method: "POST", url: `${issuer}/token` });
  const body = new URLSearchParams({
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    subject_token: delegation,
    subject_token_type: delegationTokenType,
    resource: audience,
    scope,
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe",
    client_assertion: assertion,
    ...more,
  });
  const response = await fetch(`${server.url}/token`, { method: "POST", body, headers: { DPoP: proof } });
  const { error } = (await response.json()) as { readonly error?: string };
  return error ?? "OK";
}

const newKey = async () => (await makeKeyPair()).privateJwk;

describe("who has an SVID that is not theirs", () => {
  it("[SPF-202] gets nothing for a JWT-SVID that was taken on the way, before or after its owner", async () => {
    const { spiffeId, delegation } = await makeWorkload();
    const svid = await svidOf(spiffeId);
    const [owner, thief] = [await newKey(), await newKey()];
    const answers = await Promise.all([redeem(svid, owner, delegation), redeem(svid, thief, delegation)]);
    expect(answers.toSorted()).toEqual(["OK", "invalid_dpop_proof"]);
    const first = answers[0] === "OK" ? owner : thief;
    expect(await redeem(svid, first === owner ? thief : owner, delegation)).toBe("invalid_dpop_proof");
  });

  it("[SVI-034] keeps none of its siblings from the token endpoint: each is given one of its own to bind", async () => {
    const { spiffeId, delegation } = await makeWorkload();
    const sibling = workloadClient(join(installation.dataDir, "workload.sock"));
    const theirs = () =>
      ask<JWTSVIDResponse>((respond) =>
        sibling.fetchJwtsvid({ audience: [installation.issuer], spiffeId }, security, respond),
      );
    const [first, second] = await Promise.all([svidOf(spiffeId), theirs()]);
    sibling.close();
    expect(await redeem(first, await newKey(), delegation)).toBe("OK");
    expect(await redeem(second.svids[0]?.svid ?? "", await newKey(), delegation)).toBe("OK");
  });

  it("[SPF-203] gets nothing for one that was meant for another, for several, or as another agent", async () => {
    const [workload, other] = [await makeWorkload(), await makeWorkload()];
    const { spiffeId, delegation } = workload;
    const key = await newKey();
    const elsewhere = await svidOf(spiffeId, ["https://other.example"]);
    expect(await redeem(elsewhere, key, delegation)).toBe("invalid_client");
    const several = await svidOf(spiffeId, [installation.issuer, "https://other.example"]);
    expect(await redeem(several, key, delegation)).toBe("invalid_client");
    const own = await svidOf(spiffeId);
    expect(await redeem(own, key, delegation, { client_id: other.spiffeId })).toBe("invalid_client");
    expect(await redeem(own, key, other.delegation)).toBe("invalid_request");
  });

  it("[SPF-006] can't write one: neither under the authority's name, nor without a signature, nor under a key it brings", async () => {
    const { spiffeId, delegation } = await makeWorkload();
    const svid = await svidOf(spiffeId);
    const key = await newKey();
    const { publicJwk, privateJwk } = await makeKeyPair();
    const forged = (header: { readonly [member: string]: unknown }) =>
      new SignJWT(decodeJwt(svid))
        .setProtectedHeader({ ...decodeProtectedHeader(svid), alg: "ES256", ...header })
        .sign(forger);
    const forger = await importJWK(privateJwk, "ES256");
    expect(await redeem(await forged({}), key, delegation)).toBe("invalid_client");
    expect(await redeem(await forged({ jwk: publicJwk }), key, delegation)).toBe("invalid_client");
    const [, payload = ""] = svid.split(".");
    const none = Buffer.from('{"alg":"none"}').toString("base64url");
    expect(await redeem(`${none}.${payload}.`, key, delegation)).toBe("invalid_client");
    expect(await redeem(svid, key, delegation)).toBe("OK");
  });
});

describe("who lost what an SVID rests on", () => {
  it("[SVI-005] gets no token for one that was issued before: its agent was suspended", async () => {
    const { id, spiffeId, delegation } = await makeWorkload();
    const svid = await svidOf(spiffeId);
    const key = await newKey();
    expect(await redeem(svid, key, delegation)).toBe("OK");
    await cast.operator.perform(suspendAgent, { params: { id } });
    expect(await redeem(svid, key, delegation)).not.toBe("OK");
  });

  it("[SVI-005] gets no other once its entry is deleted, and no token for the one it has, which ends within 5 minutes", async () => {
    const { spiffeId, entry, delegation } = await makeWorkload();
    const svid = await svidOf(spiffeId);
    await cast.operator.perform(deleteEntry, { params: { id: entry } });
    await expect.poll(() => statusOf(fetchJwt(spiffeId, ["https://new.example"]))).toBe("PERMISSION_DENIED");
    const { exp = 0, iat = 0 } = decodeJwt(svid);
    expect(exp - iat).toBeLessThanOrEqual(300);
    expect(await redeem(svid, await newKey(), delegation)).toBe("invalid_client");
  });

  it("[ENT-001] gets nothing of an entry whose selectors are not all true", async () => {
    const { spiffeId } = await makeWorkload([self, "unix:gid:4294967294"]);
    expect(await statusOf(fetchJwt(spiffeId, ["x"]))).toBe("PERMISSION_DENIED");
  });

  it("[SPF-104] gets no token for one that a tainted authority signed, and another at once", async () => {
    const { spiffeId, delegation } = await makeWorkload();
    const svid = await svidOf(spiffeId);
    const { kid } = decodeProtectedHeader(svid);
    const { items } = await cast.operator.perform(listSigningKeys, { query: { limit: 200 } });
    const authority = items.find(({ id }) => id === kid);
    expect(authority?.purpose).toBe("jwt_authority");
    await cast.operator.perform(taintAuthority, { params: { id: kid ?? "" } });
    const key = await newKey();
    expect(await redeem(svid, key, delegation)).toBe("invalid_client");
    await expect.poll(async () => decodeProtectedHeader(await svidOf(spiffeId)).kid).not.toBe(kid);
    expect(await redeem(await svidOf(spiffeId), key, delegation)).toBe("OK");
  });
});
