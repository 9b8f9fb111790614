import { authorizeAction } from "@countersign/sdk/client/actions";
import { accessTokenClaimsSchema } from "@countersign/sdk/contract/access-token";
import { createDelegation, listDelegations } from "@countersign/sdk/contract/delegations";
import { createResource } from "@countersign/sdk/contract/resources";
import type { AuthorizationDetails } from "@countersign/sdk/model/authorization-details";
import type { JsonValue } from "@countersign/sdk/model/canonical-json";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { audience, exchangeOf, isActive, signedForm } from "../chaos/cast.ts";
import { depsFor, type Party } from "../server.ts";
import {
  issuerSigner,
  newKeyEncryptionKey,
  openStage,
  redemptionOf,
  type Stage,
  type TokenAnswer,
  tokenOf,
} from "./stage.ts";

// What an agent, or whoever it hands its token to, can try by the authorization_details of a token request.
const removals: (() => Promise<void>)[] = [];
const calendar = "https://calendar.example/";
const kek = newKeyEncryptionKey();
const detail = {
  type: "tool_call",
  server: "files",
  tools: ["read_file"],
  arguments: {
    path: { prefix: "/data" },
    mode: { one_of: ["r", "rb"] },
    size: { range: { min: 0, max: 9 } },
    host: { cidr: "10.0.0.0/8" },
    note: { length: { max: 9 } },
    name: { glob: "/data/*/x", optional: true },
    kind: { exact: { deep: [1, "a"] } },
  },
};
let stage: Stage;
let agent: Party;
let tool: Party;
let delegation: string;
beforeAll(async () => {
  stage = await openStage((remove) => removals.push(remove), { COUNTERSIGN_KEK: kek });
  const { operator, alice } = stage.cast;
  [agent, tool] = [await stage.cast.createAgent("agent"), await stage.cast.createAgent("tool")];
  await operator.perform(createResource, {
    body: { audience: calendar, scope: ["mail.read"], owner: alice },
  });
  delegation = await grant([detail]);
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

async function grant(authorization_details: AuthorizationDetails): Promise<string> {
  const body = {
    from_user: stage.cast.alice,
    to_agent: agent.id,
    resource: audience,
    scope: ["mail.read"],
    onward: [{ agent: tool.id, resource: calendar, scope: ["mail.read"] }],
    max_depth: 1,
  };
  const made = await stage.cast.operator.perform(createDelegation, {
    body: { ...body, authorization_details },
  });
  return made.id;
}
const askFor = (details: unknown, of = delegation) =>
  stage.ask(agent, { ...exchangeOf(of), authorization_details: textOf(details) });
const redeemFor = (token: string, details: unknown) =>
  stage.ask(tool, { ...redemptionOf(token), authorization_details: textOf(details) });
const textOf = (details: unknown) => (typeof details === "string" ? details : JSON.stringify(details));
const withArgument = (changes: object) => [{ ...detail, arguments: { ...detail.arguments, ...changes } }];
const underData = (path: JsonValue) => [
  { type: "tool_call", server: "files", tools: ["read_file"], arguments: { path } },
];
const errorOf = ({ status, error, access_token }: TokenAnswer) => [status, error, access_token];
const detailsOf = (token: string) => decodeJwt(token)["authorization_details"];
const countDelegations = async () => {
  const { items } = await stage.cast.operator.perform(listDelegations, { query: { limit: 200 } });
  return items.length;
};

/** Each is asked for with the delegation's handle, and by the agent that may redeem a token of it. */
const wider: readonly unknown[] = [
  [],
  [detail, { ...detail, tools: ["write_file"] }],
  [{ ...detail, server: "Files" }],
  [{ ...detail, server: "https://files.example" }],
  [{ ...detail, tools: ["read_file", "write_file"] }],
  [{ ...detail, tools: ["READ_FILE"] }],
  [{ ...detail, arguments: undefined }],
  [{ ...detail, arguments: {} }],
  withArgument({ more: { exact: 1 } }),
  ...["/", "/dat", "/database", "/DATA", "data", "https://data"].map((prefix) =>
    withArgument({ path: { prefix } }),
  ),
  withArgument({ path: { glob: "/**" } }),
  withArgument({ path: { glob: "/datax/**" } }),
  withArgument({ path: { exact: "/data/../etc" } }),
  withArgument({ path: { exact: ["/data/a"] } }),
  withArgument({ path: { one_of: ["/data/a", "/etc"] } }),
  withArgument({ path: { length: { max: 5 } } }),
  withArgument({ path: { prefix: "/data", optional: true } }),
  withArgument({ mode: { one_of: ["r", "w"] } }),
  withArgument({ mode: { exact: "R" } }),
  withArgument({ mode: { length: { max: 1 } } }),
  withArgument({ size: { range: { min: 0, max: 10 } } }),
  withArgument({ size: { range: { min: -1, max: 9 } } }),
  withArgument({ size: { range: { max: 9 } } }),
  withArgument({ size: { one_of: [1, "1"] } }),
  withArgument({ host: { cidr: "11.0.0.0/8" } }),
  withArgument({ host: { cidr: "0.0.0.0/0" } }),
  withArgument({ host: { cidr: "::/0" } }),
  withArgument({ host: { exact: "10.0.0.01" } }),
  withArgument({ note: { length: { max: 10 } } }),
  withArgument({ note: { exact: "0123456789" } }),
  withArgument({ name: { glob: "/data/**", optional: true } }),
  withArgument({ name: { prefix: "/data/a/x", optional: true } }),
  withArgument({ kind: { exact: { deep: [1, "a", 2] } } }),
  withArgument({ kind: { exact: { deep: ["1", "a"] } } }),
];

const unreadable: readonly unknown[] = [
  "[{",
  " ",
  "null",
  "5",
  '"tool_call"',
  "{}",
  detail,
  [detail, 5],
  [{ ...detail, type: "payment" }],
  [{ ...detail, type: "TOOL_CALL" }],
  [{ ...detail, type: ["tool_call"] }],
  [{ ...detail, locations: [audience] }],
  [{ ...detail, actions: ["read"] }],
  [{ ...detail, server: "https://FILES.example" }],
  [{ ...detail, tools: ["*"] }],
  [{ ...detail, tools: "read_file" }],
  withArgument({ size: { regex: ".*" } }),
  withArgument({ size: { any: true } }),
  withArgument({ size: { range: { min: 0, max: 9 }, exact: 1 } }),
  withArgument({ size: { range: { min: 0, max: 9, step: 1 } } }),
  withArgument({ host: { cidr: "10.0.0.1/8" } }),
  ...[
    "/data/..",
    "/data/../etc",
    "/data/./x",
    "/data//x",
    "/data/",
    "//data",
    "/data/%2e%2e",
    "/data\\..",
  ].map((prefix) => withArgument({ path: { prefix } })),
  withArgument({ path: { glob: "/data/**/x" } }),
  withArgument({ kind: { exact: [[[[[[1]]]]]] } }),
  withArgument({ kind: { exact: "x".repeat(8192) } }),
  withArgument({ kind: { exact: "\0" } }),
  withArgument({ kind: { exact: 2 ** 53 } }),
  Array(65).fill(detail),
  JSON.stringify([detail]).replace('"server"', '"__proto__":{"tools":["write_file"]},"server"'),
  `${"[".repeat(5000)}${"]".repeat(5000)}`,
  `[${" ".repeat(20_000)}]`,
  `[${"1,".repeat(9000)}1]`,
];

describe("authorization_details of a token request", () => {
  test("[RAR-001] [NAR-003] that are wider than the delegation's get no token, in whatever constraint", async () => {
    const token = tokenOf(await askFor([detail]));
    const before = await countDelegations();
    for (const details of wider) {
      const refused = [textOf(details), 400, "invalid_scope", undefined];
      expect([textOf(details), ...errorOf(await askFor(details))]).toEqual(refused);
      expect([textOf(details), ...errorOf(await redeemFor(token, details))]).toEqual(refused);
    }
    expect(await countDelegations()).toBe(before);
  });

  test("[RAR-001] [NAR-002] that can't be read get no token, below no details as well, and no value is repeated", async () => {
    const open = await grant([]);
    for (const details of unreadable) {
      for (const of of [delegation, open]) {
        const answer = await askFor(details, of);
        expect([textOf(details).slice(0, 200), ...errorOf(answer)]).toEqual([
          textOf(details).slice(0, 200),
          400,
          "invalid_authorization_details",
          undefined,
        ]);
        expect(answer.error_description).toMatch(/^authorization_details[^/]*$/);
      }
    }
  });

  test("[RAR-001] a parameter that stands twice, or that a client without delegation sends, gets no token", async () => {
    const body = await signedForm(stage.installation, agent, exchangeOf(delegation));
    for (const _ of [1, 2]) body.append("authorization_details", JSON.stringify([detail]));
    const response = await fetch(`${stage.at(0).url}/token`, { method: "POST", body });
    expect([response.status, await response.json()]).toMatchObject([400, { error: "invalid_request" }]);
    const direct = { grant_type: "client_credentials", resource: `${stage.installation.issuer}/v1` };
    const own = await stage.ask(agent, { ...direct, authorization_details: JSON.stringify([detail]) });
    expect(errorOf(own)).toEqual([400, "invalid_authorization_details", undefined]);
    expect(own.error_description).toContain("speaks for itself");
  });

  test("[TOK-007] that would make a token too long to be read, or revoked, get none", async () => {
    const scope = Array.from({ length: 60 }, (_, place) => `${"x".repeat(100)}.${place}`);
    const { operator, alice } = stage.cast;
    const resource = "https://long.example";
    await operator.perform(createResource, { body: { audience: resource, scope, owner: alice } });
    const details = withArgument({ kind: { exact: "x".repeat(6000) } });
    const { id } = await operator.perform(createDelegation, {
      body: { from_user: alice, to_agent: agent.id, resource, scope, authorization_details: details },
    });
    const long = { ...exchangeOf(id), resource, scope: scope.join(" ") };
    const refused = await stage.ask(agent, long);
    expect(errorOf(refused)).toEqual([400, "invalid_request", undefined]);
    expect(refused.error_description).toContain("too long");
    const token = tokenOf(await stage.ask(agent, { ...long, scope: scope.slice(0, 9).join(" ") }));
    const active = () => isActive(stage.installation, stage.at(0), agent, token);
    expect(await active()).toBe(true);
    const body = await signedForm(stage.installation, agent, { token });
    expect((await fetch(`${stage.at(0).url}/revoke`, { method: "POST", body })).status).toBe(200);
    expect(await active()).toBe(false);
  });

  test("[RAR-001] that say the delegation's in another spelling are the delegation's", async () => {
    const reordered = `[{"tools":["read_file"],"arguments":${JSON.stringify(
      Object.fromEntries(Object.entries(detail.arguments).reverse()),
    )}, "server": "fil\\u0065s","type":"tool_call"}]`;
    const same = [
      reordered,
      textOf([detail, detail]),
      textOf(withArgument({ size: { range: { max: 9.0, min: -0 } } })),
      textOf(withArgument({ mode: { one_of: ["rb", "r"] } })),
    ];
    for (const details of same) {
      const answer = await askFor(details);
      expect(answer["authorization_details"]).toEqual(JSON.parse(details));
      expect(detailsOf(tokenOf(answer))).toEqual(JSON.parse(details));
    }
    for (const silent of [exchangeOf(delegation), { ...exchangeOf(delegation), authorization_details: "" }]) {
      const answer = await stage.ask(agent, silent);
      expect([answer["authorization_details"], detailsOf(tokenOf(answer))]).toEqual([[detail], [detail]]);
    }
  });
});

describe("a token that is narrower than its delegation", () => {
  const narrow = underData({ prefix: "/data/mine" });

  test("[RAR-002] [ACT-002] is what its answer and its introspection say, and lets nothing more be done", async () => {
    const wide = await grant(underData({ prefix: "/data" }));
    const client = stage.clientOf(agent);
    const whole = await client.redeemDelegation({ delegation: wide });
    const part = await client.redeemDelegation({ delegation: wide, authorizationDetails: narrow });
    expect([part.authorization_details, detailsOf(part.access_token)]).toEqual([narrow, narrow]);
    for (const { access_token } of [whole, part]) {
      const form = await signedForm(stage.installation, stage.cast.mailbox, { token: access_token });
      const response = await fetch(`${stage.at(0).url}/introspect`, { method: "POST", body: form });
      expect(await response.json()).toMatchObject({
        active: true,
        authorization_details: detailsOf(access_token),
      });
    }
    const { issuer } = stage.installation;
    const identity = { issuer, clientId: agent.clientId, key: agent.key };
    const decide = async (token: string, path: string) => {
      const tool_call = { server: "files", tool: "read_file", arguments: { path } };
      const asked = { action: "read", scope: ["mail.read"], tool_call };
      const answer = await authorizeAction(depsFor(issuer, stage.at(0)), identity, token, asked);
      return answer.decision === "allow" ? "allow" : answer.code;
    };
    for (const [path, ofWhole, ofPart] of [
      ["/data/mine/a", "allow", "allow"],
      ["/data/a", "allow", "outside_details"],
      ["/data/mine2", "allow", "outside_details"],
      ["/data/mine/../a", "outside_details", "outside_details"],
      ["/etc/passwd", "outside_details", "outside_details"],
    ] as const) {
      const decided = [await decide(whole.access_token, path), await decide(part.access_token, path)];
      expect([path, ...decided]).toEqual([path, ofWhole, ofPart]);
    }
  });

  test("[RAR-001] [ONW-002] gives no more onward than it has itself, though its delegation has more", async () => {
    const wide = await grant(underData({ prefix: "/data" }));
    const before = await countDelegations();
    const token = tokenOf(await askFor(narrow, wide));
    const beyond = [
      underData({ prefix: "/data" }),
      underData({ prefix: "/data/mine2" }),
      [...narrow, ...underData({ prefix: "/data/yours" })],
      [],
    ];
    for (const details of beyond)
      expect(errorOf(await redeemFor(token, details))).toEqual([400, "invalid_scope", undefined]);
    for (const details of [[{ type: "payment" }], "[", underData({ prefix: "/data/mine/.." })]) {
      const refused = [400, "invalid_authorization_details", undefined];
      expect(errorOf(await redeemFor(token, details))).toEqual(refused);
    }
    expect(await countDelegations()).toBe(before);
    const inner = underData({ prefix: "/data/mine/inner" });
    const redeemed = await redeemFor(token, inner);
    expect([redeemed["authorization_details"], detailsOf(tokenOf(redeemed))]).toEqual([inner, inner]);
    // Redeemed once more it is the delegation that was recorded, with no more than it has.
    expect(errorOf(await redeemFor(token, narrow))).toEqual([400, "invalid_scope", undefined]);
    expect(detailsOf(tokenOf(await stage.ask(tool, redemptionOf(token))))).toEqual(inner);
    // And silence gives what the token has.
    const other = tokenOf(await askFor(narrow, wide));
    expect(detailsOf(tokenOf(await stage.ask(tool, redemptionOf(other))))).toEqual(narrow);
  });

  test("[RAR-002] [TOK-010] is good; one that is wider is worth nothing even where the issuer's own key signed it", async () => {
    const { sign } = await issuerSigner(stage.installation, kek);
    const claims = accessTokenClaimsSchema.parse(decodeJwt(tokenOf(await askFor([detail]))));
    const worth = async (authorization_details: unknown) => {
      const token = sign({ ...claims, authorization_details });
      const active = await isActive(stage.installation, stage.at(0), stage.cast.mailbox, token);
      return [active, (await stage.ask(tool, redemptionOf(token))).status];
    };
    expect(await worth(withArgument({ path: { prefix: "/data/a" } }))).toEqual([true, 200]);
    for (const details of [
      undefined,
      [],
      withArgument({ path: { prefix: "/" } }),
      [detail, { type: "payment" }],
    ])
      expect([details, ...(await worth(details))]).toEqual([details, false, 400]);
  });
});
