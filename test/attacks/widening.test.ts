import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { createDelegation, getDelegation, listDelegations } from "@countersign/sdk/contract/delegations";
import { createOperator } from "@countersign/sdk/contract/operators";
import { createResource } from "@countersign/sdk/contract/resources";
import { createUser } from "@countersign/sdk/contract/users";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { z } from "zod";
import { audience, exchangeOf } from "../chaos/cast.ts";
import type { Party } from "../server.ts";
import { codeOf, openStage, type Stage, tokenOf } from "./stage.ts";

// What an agent can try to get more than it was given.
const removals: (() => Promise<void>)[] = [];
const detail = {
  type: "tool_call",
  server: "files",
  tools: ["read_file"],
  arguments: {
    path: { prefix: "/data" },
    mode: { one_of: ["r", "rb"] },
    size: { range: { min: 0, max: 9 } },
  },
};
const expires_at = new Date(Date.now() + 1_800_000).toISOString();
let stage: Stage;
let agent: Party;
let parent: string;
beforeAll(async () => {
  stage = await openStage((remove) => removals.push(remove));
  const { operator, alice } = stage.cast;
  agent = await stage.cast.createAgent("greedy");
  const grant = { from_user: alice, to_agent: agent.id, resource: audience, scope: ["mail.read"] };
  const terms = { max_depth: 2, budget: { tokens: 5 }, session: "one", authorization_details: [detail] };
  parent = (await operator.perform(createDelegation, { body: { ...grant, ...terms, expires_at } })).id;
  for (const other of ["https://other.example/", "https://mail.example/sub"]) {
    await operator.perform(createResource, { body: { audience: other, scope: ["mail.read"], owner: alice } });
  }
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

type Wish = z.input<NonNullable<typeof createDelegation.body>>;
/** All that the parent has, but for what a child of it can't have. */
const wish = (changes: object = {}): Wish => ({
  parent,
  to_agent: agent.id,
  resource: audience,
  scope: ["mail.read"],
  budget: { tokens: 1 },
  ...changes,
});
const pass = (changes: object) =>
  stage.clientOf(agent).perform(createDelegation, { body: wish(changes), scope: "delegate" });
const countDelegations = async () => {
  const { items } = await stage.cast.operator.perform(listDelegations, { query: { limit: 200 } });
  return items.length;
};
const withArgument = (argument: object) => ({
  authorization_details: [{ ...detail, arguments: { ...detail.arguments, ...argument } }],
});
const prefix = (path: string): [object] => [withArgument({ path: { prefix: path } })];
const matching = (glob: string): [object] => [withArgument({ path: { glob } })];
const withDetail = (changes: object) => ({ authorization_details: [{ ...detail, ...changes }] });

const unreadable = "invalid_authorization_details";

/** By dimension: what to ask for, and what it is refused as. */
const wider: Readonly<Record<string, readonly (readonly [changes: object, code?: string])[]>> = {
  scope: [
    [{ scope: ["mail.read", "mail.send"] }],
    [{ scope: ["mail.*"] }],
    [{ scope: ["*"] }],
    [{ scope: ["mail.rea"] }],
    [{ scope: ["Mail.Read"] }],
    [{ scope: ["mail.read\u200b"] }, "invalid_request"],
    [{ scope: ["mail.read mail.send"] }, "invalid_request"],
    [{ scope: [] }, "invalid_request"],
  ],
  resource: [
    [{ resource: "https://other.example/" }, "invalid_target"],
    [{ resource: "https://mail.example/sub" }, "invalid_target"],
    [{ resource: "https://mail.example.evil.example/" }, "invalid_target"],
    [{ resource: "https://*.example/" }, "invalid_request"],
    [{ resource: "https://mail.example/*" }, "invalid_request"],
    [{ resource: "https://mail.example/sub/.." }, "invalid_request"],
    [{ resource: "https://mail.example/%2e%2e" }, "invalid_request"],
  ],
  time: [
    [{ expires_at: new Date(Date.parse(expires_at) + 1).toISOString() }],
    [{ expires_at: "9999-12-31T23:59:59Z" }],
    [{ expires_at: "+010000-01-01T00:00:00Z" }, "invalid_request"],
    [{ expires_at: "never" }, "invalid_request"],
  ],
  depth: [
    [{ max_depth: 2 }],
    [{ max_depth: 15 }],
    [{ max_depth: -1 }, "invalid_request"],
    [{ max_depth: 1e9 }, "invalid_request"],
    [{ max_depth: 0.5 }, "invalid_request"],
  ],
  budget: [
    [{ budget: { tokens: 6 } }],
    [{ budget: undefined }],
    [{ budget: {} }],
    [{ budget: { tokens: 1, gold: 1 } }],
    [{ budget: { Tokens: 1 } }, "invalid_request"],
    [{ budget: { tokens: -1 } }, "invalid_request"],
    [{ budget: { tokens: 0.1 } }, "invalid_request"],
    [{ budget: { tokens: 2 ** 53 } }, "invalid_request"],
  ],
  "who may go on": [
    [{ onward: [{ agent: "agt_01arz3ndektsv4rrffq69g5fav", resource: audience, scope: ["mail.read"] }] }],
  ],
  session: [[{ session: "two" }], [{ session: "One" }]],
  "what a call may be": [
    [withDetail({ server: "other" })],
    [withDetail({ server: "FILES" })],
    [withDetail({ tools: ["read_file", "write_file"] })],
    [withDetail({ tools: ["*"] }), unreadable],
    [withDetail({ arguments: undefined })],
    [withDetail({ arguments: {} })],
    [withDetail({ type: "tool_call_v2" }), unreadable],
    [withDetail({ locations: ["https://mail.example/"] }), unreadable],
    [{ authorization_details: [] }],
    [{ authorization_details: "*" }, unreadable],
    [{ authorization_details: null }, unreadable],
    [{ authorization_details: detail }, unreadable],
    [{ authorization_details: Array(65).fill(detail) }, unreadable],
    [withArgument({ more: { exact: 1 } })],
    [withArgument({ path: { prefix: "/data" }, mode: { one_of: ["r", "rb"], optional: true } })],
    [withArgument({ mode: { one_of: ["r", "w"] } })],
    [withArgument({ mode: { length: { max: 2 } } })],
    [withArgument({ size: { range: { min: 0, max: 10 } } })],
    [withArgument({ size: { range: { min: 0 } } })],
    [withArgument({ size: { range: {} } }), unreadable],
    [withArgument({ size: { regex: "[0-9]" } }), unreadable],
    [withArgument({ size: { range: { min: 0, max: 9 }, exact: 1000 } }), unreadable],
  ],
  "the path of a call": [
    ...["/", "/dat", "/database", "/DATA", "data", "/dаta"].map(prefix),
    ...[
      "/data/..",
      "/data/../etc",
      "/data/./x",
      "/data//x",
      "//data",
      "/data/%2e%2e/etc",
      "/data%2F..",
      "/data\\..\\etc",
      "/data/x\0",
      "/data/\u202ex",
      "file:///data",
    ].map((path): [object, string] => [...prefix(path), unreadable]),
  ],
  "the glob of a call": [
    ...["/**", "/*", "/*/x", "**"].map(matching),
    ...["/data*", "/data/../*", "/data/**/../../etc"].map((glob): [object, string] => [
      ...matching(glob),
      unreadable,
    ]),
  ],
};

describe.each(Object.entries(wider))(
  "[DEL-001] [DEL-002] [DEL-003] [DEL-010] [BUD-002] [SES-002] [NAR-002] [NAR-003] a child that is wider in %s",
  (_dimension, attempts) => {
    test("is refused, however it is put, and leaves nothing behind", async () => {
      const before = await countDelegations();
      for (const [changes, code = "scope_widening"] of attempts) {
        expect([JSON.stringify(changes), await codeOf(pass(changes))]).toEqual([
          JSON.stringify(changes),
          code,
        ]);
      }
      expect(await countDelegations()).toBe(before);
    });
  },
);

test("[DEL-002] [NAR-001] narrower in all dimensions at once it is made, and carries no more", async () => {
  const narrower = {
    ...withArgument({
      path: { prefix: "/data/sub" },
      mode: { exact: "r" },
      size: { range: { min: 1, max: 2 } },
    }),
    max_depth: 0,
  };
  const { id } = await pass(narrower);
  const made = await stage.cast.operator.perform(getDelegation, { params: { id } });
  expect(made).toMatchObject({ ...narrower, session: "one", budget: { tokens: 1 }, scope: ["mail.read"] });
  expect(Date.parse(made.expires_at)).toBeLessThanOrEqual(Date.parse(expires_at));
  const claims = decodeJwt(tokenOf(await stage.ask(agent, exchangeOf(id))));
  expect(claims).toMatchObject({ scope: "mail.read", authorization_details: narrower.authorization_details });
  expect(Number(claims.exp)).toBeLessThanOrEqual(Date.parse(made.expires_at) / 1000);
});

test("[TOK-004] a token is refused that is wider than its delegation, by scope, wildcard or another resource", async () => {
  const { resource: _, ...handle } = exchangeOf(parent);
  for (const scope of [
    "mail.send",
    "mail.read mail.send",
    "*",
    "mail.*",
    "MAIL.READ",
    "admin",
    "openid offline_access",
  ]) {
    const { status, error } = await stage.ask(agent, { ...handle, scope });
    expect([scope, status, error]).toEqual([scope, 400, "invalid_scope"]);
  }
  const others = ["https://other.example/", "https://mail.example/sub", "https://mail.example/*", "*"];
  for (const resource of [...others, `${stage.installation.issuer}/v1`]) {
    const { status, error } = await stage.ask(agent, { ...handle, resource });
    expect([resource, status, error]).toEqual([resource, 400, "invalid_target"]);
  }
});

describe("an operator", () => {
  const asOperator = (body: object) =>
    codeOf(stage.cast.operator.perform(createDelegation, { body: wish(body) }));

  test("[DEL-008] asserts a root only, recorded as asserted; neither a child nor an agent's or another operator's will", async () => {
    const { operator, alice } = stage.cast;
    const grant = { from_user: alice, to_agent: agent.id, resource: audience, scope: ["mail.read"] };
    const { asserted_by } = await operator.perform(createDelegation, { body: grant });
    expect(asserted_by).toMatch(/^opr_/);
    expect(await asOperator({})).toBe("insufficient_scope");
    const { publicJwk } = await makeKeyPair();
    const { id } = await operator.perform(createOperator, { body: { name: "Bob", jwk: publicJwk } });
    for (const from of [id, asserted_by, agent.id]) {
      const body = { ...grant, from_user: from ?? "" };
      expect(await codeOf(operator.perform(createDelegation, { body }))).toBe("invalid_request");
    }
    const attempt = stage.clientOf(agent).perform(createDelegation, { body: grant, scope: "delegate" });
    expect(await codeOf(attempt)).toBe("insufficient_scope");
  });

  test("[NAR-002] is told which member of a root's details is wrong, and why, and never its value", async () => {
    const { operator, alice } = stage.cast;
    const grant = { from_user: alice, to_agent: agent.id, resource: audience, scope: ["mail.read"] };
    const list = "no list of at most 64 objects";
    for (const [details, told] of [
      ["secret", `authorization_details: ${list}`],
      [{ secret: 1 }, `authorization_details: ${list}`],
      [[detail, { ...detail, type: "secret" }], "authorization_details[1].type: none of the types"],
      [
        [{ ...detail, arguments: { path: { prefix: "/secret/.." } } }],
        "[0].arguments.path.prefix: not a path",
      ],
    ] as const) {
      // What no client of types would send.
      const body = { ...grant, authorization_details: details as never };
      const refused = await operator.perform(createDelegation, { body }).catch((error: unknown) => error);
      expect(refused).toMatchObject({
        status: 400,
        code: unreadable,
        message: expect.stringContaining(told),
      });
      expect(String(refused)).not.toContain("secret");
    }
  });

  test("[DEL-009] asserts for a User nothing that policy does not let that User give", async () => {
    const { operator, alice } = stage.cast;
    const { id: bob } = await operator.perform(createUser, { body: { name: "Bob" } });
    const bare = "https://bare.example/";
    await operator.perform(createResource, { body: { audience: bare, scope: ["mail.read"] } });
    const of = (from_user: string, resource: string) =>
      codeOf(
        operator.perform(createDelegation, {
          body: { from_user, to_agent: agent.id, resource, scope: ["mail.read"] },
        }),
      );
    expect(await of(bob, audience)).toBe("not_authorized");
    expect(await of(alice, bare)).toBe("not_authorized");
    expect(await of(alice, `${stage.installation.issuer}/v1`)).not.toBe("done");
    expect(await of(alice, audience)).toBe("done");
  });
});
