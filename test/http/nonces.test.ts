import { afterEach, expect, it } from "vitest";
import { type Client, strictProfile } from "../../src/domain/client.ts";
import { openFace, operatorId } from "./face.ts";

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const face of opened.splice(0)) await face.close();
});

const nonceRequired = { profile: { ...strictProfile, dpopNonceRequired: true } } as Client;

async function open(deps: NonNullable<Parameters<typeof openFace>[0]>["deps"] = {}) {
  const listUsers = async () => [];
  const face = await openFace({ records: { listUsers }, deps });
  opened.push(face);
  return face;
}

it("[ISS-001] every answer to a proof hands out the nonce for the next, a refusal too, and no other answer does", async () => {
  const face = await open();
  const operator = await face.callerWith("admin");
  for (const path of ["/v1/users", "/v1/nothing", "/healthz"]) {
    expect((await operator.send("GET", path)).headers.get("dpop-nonce")).toBe("next");
    expect((await fetch(`${face.issuer}${path}`)).headers.get("dpop-nonce")).toBeNull();
  }
});

it("[ISS-002] a client that needs a nonce is told so with one, is counted as no failure, and gets in with it", async () => {
  const asked: string[] = [];
  const face = await open({
    findClient: async ({ id }) => {
      asked.push(id);
      return nonceRequired;
    },
  });
  const operator = await face.callerWith("admin");
  const refused = await operator.send("GET", "/v1/users");
  expect([refused.status, refused.headers.get("dpop-nonce")]).toEqual([401, "next"]);
  expect(refused.headers.get("www-authenticate")).toBe('DPoP error="use_dpop_nonce", algs="ES256"');
  expect(await refused.json()).toMatchObject({ code: "use_dpop_nonce" });
  expect(face.failures).toEqual([]);
  const withNonce = async (nonce: string) => {
    const headers = await operator.headersFor("GET", "/v1/users", nonce);
    return (await fetch(`${face.issuer}/v1/users`, { headers })).status;
  };
  expect([await withNonce("next"), await withNonce("forged")]).toEqual([200, 401]);
  expect(new Set(asked)).toEqual(new Set([operatorId]));
});
