import { afterAll, beforeAll, expect, test } from "vitest";
import {
  makeParty,
  type Party,
  post,
  postRaw,
  proofOf,
  type RunningIssuer,
  startIssuer,
} from "./issuer-harness.ts";

let agent: Party;
let other: Party;
let running: RunningIssuer;
beforeAll(async () => {
  [agent, other] = await Promise.all([makeParty(), makeParty("resource")]);
  running = await startIssuer([agent, other]);
});
afterAll(() => running.stop());

const introspect = (token: string | undefined, party = agent, more = {}) =>
  post(running.issuer, "/introspect", party, { parameters: { token, ...more } });
const exchanged = async () => {
  const { json } = await post(running.issuer, "/token", agent, {
    parameters: {
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      subject_token: "dlg_leaf",
      subject_token_type: "urn:countersign:params:oauth:token-type:delegation",
      scope: "mail.read",
    },
    headers: { dpop: await proofOf(`${running.issuer}/token`, agent.key) },
  });
  return json.access_token as string;
};

test("introspection shows the claims exactly as they stand in the token", async () => {
  const answer = await introspect(await exchanged());
  expect([answer.status, answer.json]).toEqual([
    200,
    { ...running.journal.recorded.at(-1), active: true, token_type: "DPoP" },
  ]);
  expect(answer.json).toMatchObject({
    act: { sub: agent.clientId },
    delegation: "dlg_leaf",
    cnf: { jkt: agent.key.kid },
  });
  expect(answer.headers.get("cache-control")).toBe("no-store");
});

test("introspection says nothing but active false of what is not the caller's business or no token", async () => {
  const token = await exchanged();
  for (const answer of [
    await introspect(token, other),
    await introspect("opaque"),
    await introspect("opaque", agent, { token_type_hint: "refresh_token" }),
  ]) {
    expect([answer.status, answer.json]).toEqual([200, { active: false }]);
  }
});

test("introspection hands the journey who asks", async () => {
  const asked: unknown[] = [];
  const issuer = await startIssuer([other], {
    introspectToken: async ({ caller }) => void asked.push(caller),
  });
  await post(issuer.issuer, "/introspect", other, { parameters: { token: "x" } });
  expect(asked).toEqual([other.principal]);
  await issuer.stop();
});

test("revocation answers 200 and nothing else, and tells the journey", async () => {
  const token = await exchanged();
  for (const named of [token, "unknown"]) {
    const headers = { "x-request-id": "req-3" };
    const answer = await post(running.issuer, "/revoke", agent, { parameters: { token: named }, headers });
    expect([answer.status, answer.text]).toEqual([200, ""]);
  }
  expect(running.journal.revoked).toEqual([
    { caller: agent.principal, token, context: { requestId: "req-3" } },
    { caller: agent.principal, token: "unknown", context: { requestId: "req-3" } },
  ]);
});

test.each(["/introspect", "/revoke"])(
  "%s refuses what names no token, and who is not authenticated",
  async (path) => {
    const before = running.journal.revoked.length;
    const nameless = await post(running.issuer, path, agent);
    expect([nameless.status, nameless.json.error]).toEqual([400, "invalid_request"]);
    const twice = await post(running.issuer, path, agent, {
      parameters: { token: "a", token_type_hint: "a" },
    });
    expect(twice.status).toBe(200);
    const anonymous = await postRaw(`${running.issuer}${path}`, "token=x");
    expect([anonymous.status, anonymous.json.error]).toEqual([400, "invalid_request"]);
    const wrong = await post(
      running.issuer,
      path,
      { ...agent, key: other.key },
      { parameters: { token: "x" } },
    );
    expect([wrong.status, wrong.json.error]).toEqual([401, "invalid_client"]);
    expect(running.journal.failures.at(-1)).toMatchObject({ endpoint: path, reason: "invalid_client" });
    const repeated = await postRaw(`${running.issuer}${path}`, `token=x&token=y`);
    expect(repeated.status).toBe(400);
    expect(running.journal.revoked.length - before).toBeLessThanOrEqual(1);
  },
);
