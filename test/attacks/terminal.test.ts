import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { agentPageSchema } from "@countersign/sdk/contract/agents";
import { createDelegation } from "@countersign/sdk/contract/delegations";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { audience, callApi, exchangeOf, signedForm } from "../chaos/cast.ts";
import { connectRaw } from "../chaos/raw-http.ts";
import type { Party } from "../server.ts";
import { type Caller, openStage, type Stage } from "./stage.ts";

// Texts that forge a line of a log, or steer the terminal of whoever reads it: through everything that is named.
const removals: (() => Promise<void>)[] = [];
/** Whatever steers a terminal or turns text around, but for the end of a line. */
const steering = /(?!\n)[\p{Cc}\u2028-\u202e\u2066-\u2069]/u;
const steerings = [
  "\n",
  "\r\n",
  '\n{"level":60,"msg":"forged"}',
  "\u001b[2J\u001b[1;1Hforged",
  "\u001b]0;forged\u0007",
  "\u009b31m",
  "\u0008\u0008",
  "\u0000",
  "\u007f",
  "\u0085",
  "\u2028",
  "\u2029",
  "\u202egnp.exe",
  "\u2066x\u2069",
];
/** Texts that are names like any others. */
const quoted = [
  '","level":60,"msg":"forged',
  `'; DROP TABLE "user"; --`,
  "%s %d %o %n",
  "{{process.exit(1)}}",
  "$(touch /tmp/forged)`id`",
  "\\u001b[31m\\n\\",
  "<script>alert(1)</script>",
  "=cmd|' /C calc'!A0",
  "إيمان 👩‍💻",
];
let stage: Stage;
let operator: Caller;
let agent: Party;
beforeAll(async () => {
  stage = await openStage((remove) => removals.push(remove), { COUNTERSIGN_LOG_LEVEL: "trace" });
  operator = await stage.signIn(await stage.installation.operatorKey(), "admin");
  agent = await stage.cast.createAgent("courier");
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

/** Bodies of every route that makes something, with this text wherever it is a name. */
async function bodiesWith(text: string): Promise<readonly (readonly [path: string, body: object])[]> {
  const { publicJwk: jwk } = await makeKeyPair();
  const { publicJwk: another } = await makeKeyPair();
  return [
    ["/v1/users", { name: text }],
    ["/v1/agents", { owner: stage.cast.alice, name: text, jwk }],
    ["/v1/operators", { name: text, jwk: another }],
  ];
}

/** Bodies with this text where no name is taken. */
const misnamed = (text: string): readonly (readonly [path: string, body: object])[] => [
  ["/v1/users", { name: "x", email: `${text}@mail.example` }],
  ["/v1/users", { name: "x", [text]: 1 }],
  ["/v1/agents", { owner: text, name: "x", kind: text }],
  ["/v1/resources", { audience: text, scope: ["x"] }],
  ["/v1/resources", { audience: "https://x.example/", scope: [text] }],
  ["/v1/delegations", { from_user: text, to_agent: text, resource: text, scope: [text], session: text }],
  ["/v1/delegations", { budget: { [text]: 1 }, authorization_details: [{ [text]: text }] }],
];

const post = (path: string, body: object, headers: Record<string, string> = {}) =>
  callApi(stage.installation, stage.at(0), operator, {
    method: "POST",
    path,
    body: JSON.stringify(body),
    headers,
  });

describe("[LOG-003] a text that would forge a line or steer a terminal", () => {
  test("is no name where it is one of those, and a name like any other where it only looks so", async () => {
    for (const text of steerings) {
      for (const [path, body] of [...(await bodiesWith(`x${text}x`)), ...misnamed(text)]) {
        expect([path, text, (await post(path, body)).status]).toEqual([path, text, 400]);
      }
    }
    for (const text of quoted) {
      for (const [path, body] of await bodiesWith(text)) {
        const response = await post(path, body);
        expect([path, text, response.status]).toEqual([path, text, 201]);
        expect(Object(await response.json())["name"]).toBe(text);
      }
      // Some of them are scope tokens by RFC 6749.
      for (const [path, body] of misnamed(text)) expect((await post(path, body)).status).toBeLessThan(500);
    }
  });

  test("reaches no terminal by the command line, in words or in JSON", async () => {
    const hostile = steerings.filter((text) => text !== "\u0000").join("");
    const details = ["\u009b31m", "\u202e", "\u2028"].map((text) => ({
      type: "tool_call",
      server: "files",
      tools: ["read_file"],
      arguments: { path: { exact: `${text}${hostile}` } },
    }));
    const body = {
      from_user: stage.cast.alice,
      to_agent: agent.id,
      resource: audience,
      scope: ["mail.read"],
    };
    const { id } = await stage.cast.operator.perform(createDelegation, {
      body: { ...body, authorization_details: details },
    });
    const commands = [
      ["user", "list"],
      ["agent", "list"],
      ["agent", "show", agent.id],
      ["agent", "access", agent.id],
      ["agent", "history", agent.id],
      ["resource", "list"],
      ["delegation", "list"],
      ["delegation", "show", id],
      ["agent", "show", "agt_\u009b31m\u202e"],
      ["user", "create", "--name", "\u009b31m\u202e"],
    ];
    for (const words of commands) {
      for (const more of [[], ["--json"]]) {
        const { out, err } = await stage.installation.run(...words, ...more);
        expect([words, steering.exec(`${out}${err}`)?.[0]]).toEqual([words, undefined]);
        if (more.length > 0) expect(() => JSON.parse(out)).not.toThrow();
      }
    }
    const { items } = agentPageSchema.parse(
      JSON.parse((await stage.installation.run("agent", "list", "--json")).out),
    );
    const { out } = await stage.installation.run("agent", "list");
    expect(out.trim().split("\n")).toHaveLength(items.length);
    for (const text of quoted) expect(out).toContain(text);
    expect((await stage.installation.run("agent", "access", agent.id)).out).toContain("\\u202e");
  });

  test("is within one line of the log, whatever it was sent as", async () => {
    const { url } = stage.at(0);
    for (const text of [...steerings, ...quoted]) {
      for (const parameters of [
        { scope: text },
        { resource: text },
        { subject_token: text },
        { grant_type: text },
      ]) {
        const body = await signedForm(stage.installation, agent, { ...exchangeOf("dlg_x"), ...parameters });
        await fetch(`${url}/token`, { method: "POST", body });
      }
      const body = new URLSearchParams({
        client_id: text,
        client_assertion: text,
        grant_type: "client_credentials",
      });
      await fetch(`${url}/token`, { method: "POST", body });
      await fetch(`${url}/v1/${encodeURIComponent(text)}?${new URLSearchParams({ [text]: text })}`);
      await fetch(`${url}/log/${encodeURIComponent(text)}/entry/${encodeURIComponent(text)}`);
    }
    // As octets that an HTTP client would not send: in the path, and in each header that is looked at.
    const octets = ["\x1b[31m", "\x9b31m", "\x85", "\xe2\x80\xa8", "\xe2\x80\xae", "\x7f", "\x08"];
    for (const text of octets) {
      const named = [
        "X-Request-ID",
        "User-Agent",
        "DPoP",
        "Authorization",
        "Idempotency-Key",
        "Forwarded",
        "Client-Cert",
      ];
      const headers = named.map((name) => `${name}: ${text}\r\n`).join("");
      for (const path of [`/v1/${text}`, "/v1/users"]) {
        const connection = await connectRaw(stage.at(0));
        connection.write(
          `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${path === "/v1/users" ? headers : ""}\r\n`,
        );
        await connection.closed;
      }
    }
    const { err } = await stage.at(0).stop();
    // The command itself tells of its end, in words.
    const [lines, words] = partition(err.trimEnd().split("\n"), (line) => line.startsWith("{"));
    expect(words).toEqual([expect.stringMatching(/^stopping: /)]);
    expect(lines.length).toBeGreaterThan(100);
    for (const line of lines) {
      expect(steering.exec(line)?.[0]).toBeUndefined();
      expect(JSON.parse(line)).not.toMatchObject({ msg: "forged" });
      // Of two members of one name another reader might take the first.
      expect(line.match(/"level":/g)).toHaveLength(1);
    }
  });
});

function partition(lines: readonly string[], isOne: (line: string) => boolean): [string[], string[]] {
  return [lines.filter(isOne), lines.filter((line) => !isOne(line))];
}
