import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { createAgent, getAgent } from "@countersign/sdk/contract/agents";
import { createResource, listResources } from "@countersign/sdk/contract/resources";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { audience, exchangeOf } from "../chaos/cast.ts";
import type { Party } from "../server.ts";
import { type Caller, codeOf, openStage, type Stage } from "./stage.ts";

// What can be tried with a name that looks like another: by case, script, dots, encoding, prefix, or a pattern.
const removals: (() => Promise<void>)[] = [];
let stage: Stage;
let agent: Party;
let delegation: string;
let operator: Caller;
beforeAll(async () => {
  stage = await openStage((remove) => removals.push(remove));
  agent = await stage.cast.createAgent("courier");
  delegation = await stage.cast.grant(agent);
  operator = await stage.signIn(await stage.installation.operatorKey(), "admin");
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

describe("[MOD-002] a resource", () => {
  /** Other spellings of `https://mail.example/`, or what some reader takes for one. */
  const spellings = [
    "HTTPS://mail.example/",
    "https://MAIL.example/",
    "https://mail.example:443/",
    "https://mail.example./",
    "https://mail.example//",
    "https://mail.example/.",
    "https://mail.example/./",
    "https://mail.example/x/..",
    "https://mail.example/%2e",
    "https://mail.example/%2F",
    "https://mail.example/?",
    "https://mail.example/#",
    "https://user@mail.example/",
    "https://mail.example\\",
    "https:/mail.example/",
    "https:mail.example/",
    "//mail.example/",
    "mail.example",
    " https://mail.example/",
    "https://mail.example/ ",
    "https://mail.example/\u200b",
    "https://ｍail.example/",
    "https://mаil.example/",
    "https://mail。example/",
    "https://m%61il.example/",
    "https://mail.example/*",
    "https://*/",
    "javascript://mail.example/",
  ];
  /** Names of their own, that only begin, end or look alike. */
  const neighbours = [
    "http://mail.example/",
    "https://mail.example/x",
    "https://mail.example/X",
    "https://mail.example.evil.example/",
    "https://evil-mail.example/",
    "https://mail.example:8443/",
    "https://mail.example/?x",
    "https://xn--mil-4ve.example/",
  ];

  test("has one name: no token is given for it under another spelling, nor for a neighbour", async () => {
    for (const resource of [...spellings, ...neighbours]) {
      const answer = await stage.ask(agent, { ...exchangeOf(delegation), resource });
      expect([resource, answer.status, answer.error]).toEqual([resource, 400, "invalid_target"]);
    }
    const bare = await stage.ask(agent, { ...exchangeOf(delegation), resource: "https://mail.example" });
    expect(bare.status).toBe(200);
  });

  test("is registered under its one name, once; no second spelling takes its place", async () => {
    const register = (name: string) =>
      codeOf(stage.cast.operator.perform(createResource, { body: { audience: name, scope: ["mail.read"] } }));
    for (const name of spellings) expect([name, await register(name)]).toEqual([name, "invalid_request"]);
    for (const name of [audience, "https://mail.example"]) expect(await register(name)).toBe("conflict");
    for (const name of neighbours) expect([name, await register(name)]).toEqual([name, "done"]);
    const { items } = await stage.cast.operator.perform(listResources, {});
    expect(items.filter((one) => one.audience.replace(/\/$/, "") === "https://mail.example")).toHaveLength(1);
    // Now that there are such neighbours, a delegation of one still is none of another.
    for (const resource of neighbours) {
      expect((await stage.ask(agent, { ...exchangeOf(delegation), resource })).error).toBe("invalid_target");
    }
  });
});

describe("[MOD-001] an id", () => {
  const doubted = (id: string) =>
    [
      id.toUpperCase(),
      id.replace("_", "-"),
      id.replace("_", "__"),
      `${id}x`,
      id.slice(0, -1),
      id.slice(0, 8),
      `${id} `,
      ` ${id}`,
      `${id}\u0000`,
      `${id}%00`,
      `${id}/`,
      `${id}/..`,
      `../${id}`,
      `${id}\n`,
      `${id}' OR '1'='1`,
      `${id},${id}`,
      id.replace(/[a-z]$|[0-9]$/, "*"),
      id.replace("0", "o"),
      id.replace("1", "l"),
      id.replace("t", "т"),
      id.replace("_", "＿"),
      encodeURIComponent(encodeURIComponent(`${id}_`)),
      "__proto__",
      "constructor",
      "%",
      "_",
    ].filter((text) => text !== id);

  test("has one spelling: no other one names the thing in a path, a query or a body", async () => {
    const get = (path: string) => stage.call(operator, { method: "GET", path });
    expect((await get(`/v1/agents/${agent.id}`)).status).toBe(200);
    for (const text of doubted(agent.id)) {
      const shown = await get(`/v1/agents/${encodeURIComponent(text)}`);
      expect([text, shown.status]).toEqual([text, 404]);
      const listed = await get(`/v1/delegations?agent=${encodeURIComponent(text)}`);
      expect([text, listed.status]).toEqual([text, 400]);
    }
    for (const text of doubted(stage.cast.alice)) {
      const { publicJwk: jwk } = await makeKeyPair();
      const made = stage.cast.operator.perform(createAgent, { body: { owner: text, name: "x", jwk } });
      expect([text, await codeOf(made)]).toEqual([text, "invalid_request"]);
    }
  });

  test("of a delegation redeems it in its one spelling only", async () => {
    for (const text of doubted(delegation)) {
      const { access_token, status } = await stage.ask(agent, {
        ...exchangeOf(delegation),
        subject_token: text,
      });
      expect([text, status, access_token]).toEqual([text, 400, undefined]);
    }
  });

  test("of a client is proven in its one spelling only, whoever's key signs", async () => {
    const { clientId, key, id } = agent;
    const domain = "spiffe://127.0.0.1/";
    const spelled = [
      clientId.toUpperCase(),
      clientId.replace("spiffe:", "SPIFFE:"),
      clientId.replace(domain, "spiffe://127.0.0.1:8460/"),
      clientId.replace(domain, "spiffe://127.0.0.1.evil.example/"),
      clientId.replace(domain, "spiffe://127.0.0.1//"),
      clientId.replace(domain, "spiffe://x@127.0.0.1/"),
      clientId.replace("/org/default/", "/org/./default/"),
      clientId.replace("/org/default/", "/org/other/../default/"),
      clientId.replace("/org/default/", "/org/DEFAULT/"),
      clientId.replace("/org/default/", "/org/default%2F"),
      clientId.replace("/org/default/", "/org/system/"),
      clientId.replace("/agent/", "/operator/"),
      clientId.replace("/agent/", "/resource/"),
      clientId.replace("/agent/", "/agent/../agent/"),
      `${clientId}/`,
      `${clientId}?`,
      `${clientId}#x`,
      `${clientId}%20`,
      id,
      `*`,
    ];
    for (const text of spelled) {
      const asked = {
        grant_type: "client_credentials",
        resource: `${stage.installation.issuer}/v1`,
        scope: "delegate",
      };
      const answer = await stage.ask({ clientId: text, key }, asked);
      expect([text, answer.status, answer.error]).toEqual([text, 401, "invalid_client"]);
    }
  });

  test("is never another's: one that begins alike is told apart", async () => {
    const other = await stage.cast.createAgent("courier");
    expect(other.id.slice(0, 6)).toBe(agent.id.slice(0, 6));
    const shown = await stage.cast.operator.perform(getAgent, { params: { id: other.id } });
    expect(shown.id).toBe(other.id);
    expect((await stage.ask(other, exchangeOf(delegation))).status).toBe(400);
  });
});

describe("[POL-001] what policies are written in means nothing in what is asked", () => {
  const texts = [
    "*",
    "**",
    "a, b",
    "p, x, *, *, *, *, *, *, allow",
    "a\nb",
    'a"b',
    "#",
    "{issuer}/v1",
    "r.sub == r.sub",
  ];

  test("a scope, a name or an audience of it is refused, or is a text like any other", async () => {
    const { operator, alice } = stage.cast;
    for (const text of texts) {
      expect(await codeOf(operator.perform(createResource, { body: { audience: text, scope: ["x"] } }))).toBe(
        "invalid_request",
      );
      const asked = await stage.ask(agent, {
        grant_type: "client_credentials",
        resource: text,
        scope: "delegate",
      });
      expect([text, asked.status, asked.access_token]).toEqual([text, 400, undefined]);
      const scoped = await stage.ask(agent, {
        grant_type: "client_credentials",
        resource: `${stage.installation.issuer}/v1`,
        scope: text,
      });
      expect([text, scoped.access_token]).toEqual([text, undefined]);
    }
    // An agent that bears a role's or an operator's name, or a rule's, has no more for it.
    for (const name of ["operator", "*", "p, agent, allow", "role:operator", "local"]) {
      const { publicJwk, privateJwk } = await makeKeyPair();
      const { client_id } = await operator.perform(createAgent, {
        body: { owner: alice, name, jwk: publicJwk },
      });
      const asked = {
        grant_type: "client_credentials",
        resource: `${stage.installation.issuer}/v1`,
        scope: "admin",
      };
      const { access_token } = await stage.ask({ clientId: client_id, key: privateJwk }, asked);
      expect(access_token).toBeUndefined();
    }
  });
});
