import { request } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  answerOf,
  assertionOf,
  assertionType,
  makeParty,
  type Party,
  postRaw,
  type RunningIssuer,
  startIssuer,
} from "./issuer-harness.ts";

let agent: Party;
let running: RunningIssuer;
beforeAll(async () => {
  agent = await makeParty();
  running = await startIssuer([agent]);
});
afterAll(() => running.stop());

const form = async (parameters: Record<string, string> = {}) =>
  new URLSearchParams({
    client_assertion_type: assertionType,
    client_assertion: await assertionOf(running.issuer, agent),
    grant_type: "client_credentials",
    resource: "https://mail.example",
    ...parameters,
  }).toString();
const token = (body: string | Buffer, headers = {}) => postRaw(`${running.issuer}/token`, body, headers);

test.each<[string, () => Promise<string>, string]>([
  ["a repeated scope", async () => `${await form({ scope: "a" })}&scope=b`, "invalid_request"],
  ["a repeated grant_type", async () => `${await form()}&grant_type=client_credentials`, "invalid_request"],
  ["a repeated client_assertion", async () => `${await form()}&client_assertion=x`, "invalid_request"],
  ["a repeated client_id", async () => `${await form()}&client_id=a&client_id=b`, "invalid_request"],
  ["no grant_type", () => form({ grant_type: "" }), "invalid_request"],
  ["an unknown grant_type", () => form({ grant_type: "password" }), "unsupported_grant_type"],
  [
    "a grant that does not work yet",
    () => form({ grant_type: "authorization_code", code: "x" }),
    "unsupported_grant_type",
  ],
  ["implicit", () => form({ grant_type: "implicit" }), "unsupported_grant_type"],
  ["a grant_type of the prototype", () => form({ grant_type: "__proto__" }), "unsupported_grant_type"],
  ["two resources", async () => `${await form()}&resource=https://files.example`, "invalid_target"],
  ["a resource that is no URI", () => form({ resource: "mail" }), "invalid_target"],
  ["a resource with a fragment", () => form({ resource: "https://mail.example/#x" }), "invalid_target"],
  [
    "a resource with another spelling",
    () => form({ resource: "https://mail.example/a/../b" }),
    "invalid_target",
  ],
  [
    "a resource with a name and password",
    () => form({ resource: "https://me:pw@mail.example" }),
    "invalid_target",
  ],
  [
    "a resource without end",
    () => form({ resource: `https://mail.example/${"a".repeat(9000)}` }),
    "invalid_target",
  ],
  ["a resource and an empty one", async () => `${await form()}&resource=`, "invalid_target"],
  ["a scope with a quote", () => form({ scope: 'a"b' }), "invalid_scope"],
  ["a scope with a line break", async () => `${await form()}&scope=a%0Ab`, "invalid_request"],
  ["a scope that begins with a space", () => form({ scope: " a" }), "invalid_scope"],
  ["a scope with two spaces", () => form({ scope: "a  b" }), "invalid_scope"],
  ["a scope beyond ASCII", () => form({ scope: "ä" }), "invalid_scope"],
  ["a scope token without end", () => form({ scope: "a".repeat(1000) }), "invalid_scope"],
  [
    "repeated authorization_details in an exchange",
    async () => {
      const exchange = await form({ grant_type: "urn:ietf:params:oauth:grant-type:token-exchange" });
      return `${exchange}&authorization_details=[]&authorization_details=[]`;
    },
    "invalid_request",
  ],
  [
    "authorization_details of a client's own",
    () => form({ authorization_details: "[]" }),
    "invalid_authorization_details",
  ],
  ["NUL", async () => `${await form()}&scope=a%00b`, "invalid_request"],
  ["broken percent-encoding", async () => `${await form()}&scope=%zz`, "invalid_request"],
  ["a percent sign at the end", async () => `${await form()}&scope=%`, "invalid_request"],
  ["octets that are not UTF-8", async () => `${await form()}&scope=%ff`, "invalid_request"],
  ["too many parameters", async () => `${await form()}${"&a=b".repeat(100)}`, "invalid_request"],
  ["an empty body", async () => "", "invalid_request"],
])("refuses %s as %s has it", async (_name, body, error) => {
  const answer = await token(await body());
  expect([answer.status, answer.json.error]).toEqual([400, error]);
  expect(answer.headers.get("cache-control")).toBe("no-store");
  expect(running.journal.issued).toEqual([]);
});

test("two spellings of one resource that are the same octets are one resource", async () => {
  const issuer = await startIssuer([agent]);
  const body = new URLSearchParams({
    client_assertion_type: assertionType,
    client_assertion: await assertionOf(issuer.issuer, agent),
    grant_type: "client_credentials",
  });
  for (const _ of [1, 2]) body.append("resource", "https://mail.example");
  expect((await postRaw(`${issuer.issuer}/token`, body.toString())).status).toBe(200);
  await issuer.stop();
});

test.each([
  ["JSON", "application/json"],
  ["multipart", "multipart/form-data; boundary=x"],
  ["another charset", "application/x-www-form-urlencoded; charset=utf-16"],
  ["text", "text/plain"],
])("refuses a body of %s", async (_name, type) => {
  const answer = await token(await form(), { "content-type": type });
  expect([answer.status, answer.json.error]).toEqual([400, "invalid_request"]);
});

test("reads a form whose charset is named", async () => {
  const issuer = await startIssuer([agent]);
  const body = new URLSearchParams({
    client_assertion_type: assertionType,
    client_assertion: await assertionOf(issuer.issuer, agent),
    grant_type: "client_credentials",
  }).toString();
  const type = "application/x-www-form-urlencoded; charset=UTF-8";
  expect((await postRaw(`${issuer.issuer}/token`, body, { "content-type": type })).status).toBe(200);
  await issuer.stop();
});

test("refuses a body that is too large, announced or not, with 413", async () => {
  const large = `scope=${"a".repeat(70_000)}`;
  const announced = await token(large);
  expect([announced.status, announced.json.error]).toEqual([413, "invalid_request"]);
  const chunked = await new Promise<number | undefined>((resolve, reject) => {
    const headers = { "content-type": "application/x-www-form-urlencoded", "transfer-encoding": "chunked" };
    const sent = request(`${running.issuer}/token`, { method: "POST", headers }, ({ statusCode }) =>
      resolve(statusCode),
    );
    sent.on("error", reject);
    for (let piece = 0; piece < 7; piece++) sent.write("a".repeat(10_000));
    sent.end();
  });
  expect(chunked).toBe(413);
});

test("answers a method that an endpoint does not have with 405 and those it has", async () => {
  for (const path of ["/token", "/introspect", "/revoke"]) {
    for (const method of ["GET", "PUT", "DELETE", "PATCH"]) {
      const answer = await answerOf(await fetch(`${running.issuer}${path}`, { method }));
      expect([answer.status, answer.json.error]).toEqual([405, "invalid_request"]);
      expect(answer.headers.get("allow")).toContain("POST");
    }
  }
  expect((await fetch(`${running.issuer}/jwks`, { method: "POST" })).status).toBe(405);
});

test("owns each path in one spelling", async () => {
  for (const path of [
    "/TOKEN",
    "/token/",
    "/token%",
    "//token",
    "/to%6ben",
    "/session/end",
    "/request",
    "/me",
    "/",
  ]) {
    const answer = await postRaw(`${running.issuer}${path}`, await form());
    expect([path, answer.status, answer.json.error]).toEqual([path, 404, "invalid_request"]);
  }
});

test("tells everybody at the authorization endpoint alike that nobody can sign in yet", async () => {
  const ask = (clientId: string) =>
    fetch(`${running.issuer}/auth?client_id=${encodeURIComponent(clientId)}&response_type=code`, {
      redirect: "manual",
    });
  const [known, unknown] = [await answerOf(await ask(agent.clientId)), await answerOf(await ask("nobody"))];
  expect(known.text).toBe(unknown.text);
  expect([known.status, known.json.error, known.json.iss]).toEqual([
    400,
    "unauthorized_client",
    running.issuer,
  ]);
  expect(known.headers.has("set-cookie")).toBe(false);
});

test("answers in JSON whatever the caller accepts", async () => {
  const answer = await token(await form({ grant_type: "password" }), { accept: "text/html" });
  expect(answer.json.error).toBe("unsupported_grant_type");
});

test("survives a caller that goes away, and sends half a request", async () => {
  const { port } = new URL(running.issuer);
  const head =
    "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\n";
  await new Promise<void>((resolve) => {
    const socket = connect(Number(port), "127.0.0.1", () =>
      socket.write(`${head}grant_type`, () => socket.destroy()),
    );
    socket.on("close", () => resolve());
  });
  expect((await token(await form())).status).toBe(200);
  expect(running.journal.unexpected).toEqual([]);
});
