import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { logOf, parseOrganizationId } from "@countersign/sdk/model/ids";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "./cli.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "countersign-cli-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

const agent = "spiffe://127.0.0.1/org/default/agent/agt_01arz3ndektsv4rrffq69g5fav";
async function keyFile(name: string, clientId?: string): Promise<string> {
  const { privateJwk } = await makeKeyPair();
  const path = join(directory, name);
  writeFileSync(path, JSON.stringify(clientId === undefined ? privateJwk : { clientId, privateJwk }), {
    mode: 0o600,
  });
  return path;
}

const commands = [
  "serve",
  "demo",
  "user create",
  "agent create",
  "agent suspend",
  "agent resume",
  "agent retire",
  "agent reports",
  "agent accountability",
  "agent checksum approve",
  "agent checksum withdraw",
  "agent checksum list",
  "agent checksum compute",
  "resource create",
  "issuer create",
  "issuer list",
  "issuer show",
  "issuer delete",
  "issuer map",
  "issuer subjects",
  "issuer unmap",
  "operator create",
  "operator list",
  "operator show",
  "delegate",
  "revoke delegation",
  "revoke agent",
  "revoke token",
  "token",
  "action list",
  "action show",
  "ledger verify",
  "ledger checkpoint",
  "ledger prove",
  "ledger show",
  "ledger export",
  "ledger recover",
  "ledger verify-receipt",
  "policy check",
  "policy test",
  "policy replay",
  "policy explain",
  "policy list",
  "policy show",
  "policy diff",
  "policy flips",
  "policy apply",
  "policy rollback",
  "policy proposals",
  "policy approve",
  "policy withdraw",
  "keys list",
  "keys rotate",
  "keys taint",
  "keys withdraw",
  "entry create",
  "entry list",
  "entry show",
  "entry delete",
  "doctor",
];

describe("every command", () => {
  it.each(commands)("%s explains itself with an example, takes --json, and exits 0", async (command) => {
    const { exit, out } = await run([...command.split(" "), "--help"]);
    expect(exit).toBe(0);
    expect(out).toContain(`$ countersign ${command}`);
    expect(out).toContain("--json");
  });

  it.each(commands)("%s refuses an option it does not know with exit 2", async (command) => {
    const { exit, err } = await run([...command.split(" "), "--nonsense"]);
    expect(exit).toBe(2);
    expect(err).toMatch(/^error: (unknown|required) option/);
  });
});

describe("the program itself", () => {
  it("tells its version, and in its help the settings and the exit codes", async () => {
    expect(await run(["--version"])).toEqual({
      exit: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+/),
      err: "",
    });
    const { exit, out } = await run(["--help"]);
    expect(exit).toBe(0);
    for (const told of ["COUNTERSIGN_SERVER ", "COUNTERSIGN_OPERATOR_KEY ", "Exit codes:"])
      expect(out).toContain(told);
  });
});

describe("a wrong call", () => {
  const wrong: Record<string, string[]> = {
    "an unknown command": ["sing"],
    "a missing option": ["user", "create"],
    "a missing argument": ["ledger", "prove"],
    "an index that is none": ["ledger", "prove", "-1"],
    "a log that is none": ["ledger", "checkpoint", "--log", "../keys"],
    "an unknown kind of agent": ["agent", "create", "--owner", "usr_1", "--name", "a", "--kind", "boss"],
    "a duration without a unit": [
      "delegate",
      "--from",
      "usr_1",
      "--to",
      "a",
      "--resource",
      "r",
      "--scope",
      "s",
      "--expires",
      "90",
    ],
    "a delegation passed on without a key": [
      "delegate",
      "--from",
      "dlg_1",
      "--to",
      "a",
      "--resource",
      "r",
      "--scope",
      "s",
    ],
    "a budget that is none": [
      "delegate",
      "--from",
      "usr_1",
      "--to",
      "a",
      "--resource",
      "r",
      "--scope",
      "s",
      "--budget",
      "lots",
    ],
    "a token as nobody": ["token", "--resource", "https://r.example"],
    "a token as two": ["token", "--key", "k.json", "--socket", "/s", "--resource", "https://r.example"],
    "a token for no resource": ["token", "--key", "nowhere.json"],
    "an export as one JSON value": ["ledger", "export", "--json"],
    "an export that does not exist": ["ledger", "verify", "/nowhere/export.ndjson"],
  };
  for (const [name, words] of Object.entries(wrong)) {
    it(`exits 2: ${name}`, async () => {
      const { exit, err } = await run(words);
      expect(exit).toBe(2);
      expect(err).not.toContain("\n    at ");
    });
  }

  const grant = [
    "delegate",
    "--from",
    "usr_1",
    "--to",
    "agt_1",
    "--resource",
    "https://r.example",
    "--scope",
  ];
  it.each([
    [[...grant, "a b"], "--scope: takes one scope; repeat it for more"],
    [[...grant, "a", "--max-depth", "-1"], "--max-depth: must be a whole number from 0 to 15"],
    [[...grant, "a", "--budget", "foo"], "--budget: must be like tokens=100, rows=100 or spend:EUR=1250"],
    [[...grant, "a", "--budget", "tokens=2", "--budget", "tokens=3"], "--budget: limits a unit twice"],
    [
      [...grant, "a", "--budget", "tokens=0"],
      "--budget: of no tokens lets it get none: give it one at least",
    ],
    [["user", "create", "--name", ""], "--name: is empty"],
    [
      ["user", "create", "--name", "a", "--email", "nope"],
      expect.stringMatching(/^countersign: --email: must /),
    ],
    [["user", "list", "--cursor", "x"], "--cursor: must be the `next` of a page of this list"],
    [["agent", "access", "agt_1", "--cursor", "x"], expect.stringMatching(/^countersign: --cursor: must /)],
    [[...grant, "a", "--session", "a b"], expect.stringMatching(/^countersign: --session: must be 1 to 128/)],
    [
      ["ledger", "verify", "e.ndjson", "--vkey", "foo"],
      "--vkey: must be a key as `countersign keys list --json` shows it",
    ],
    [
      ["ledger", "verify-receipt", "e.json", "--vkey", "foo"],
      "--vkey: must be a key as `countersign keys list --json` shows it",
    ],
    [
      ["token", "--key", "k", "--resource", "mail"],
      expect.stringMatching(/^countersign: --resource: must be an absolute/),
    ],
    [["agent", "suspend", "usr_1"], "id: must begin with agt_"],
    [["revoke", "token", "agt_1"], "id: must begin with tok_"],
    [
      ["token", "--key", "/nowhere/k.json", "--resource", "https://r.example"],
      "/nowhere/k.json does not exist",
    ],
    [["agent", "list", "--kind", "boss"], "--kind: must be one of manager, worker, tool"],
    [
      ["ledger", "verify", "default.ndjson", "--log", "default"],
      "--log names a log of the server; an export says itself which log it is of",
    ],
    [
      ["ledger", "export", "--out", "/etc/passwd"],
      "/etc/passwd exists: choose a file that does not exist yet",
    ],
    [
      ["agent", "create", "--owner", "usr_1", "--name", "a", "--out", "/nowhere/a.json"],
      "/nowhere/a.json: the directory /nowhere does not exist",
    ],
  ])("%j says what to change as it was typed", async (words, message) => {
    const err = typeof message === "string" ? `countersign: ${message}` : message;
    expect(await run(words)).toEqual({ exit: 2, out: "", err });
  });

  it.each(["verify", "verify-receipt"])(
    "exits 2 for a file that `ledger %s` can't read, or that is another",
    async (verb) => {
      const garbage = join(directory, "garbage");
      writeFileSync(garbage, "garbage\n");
      expect((await run(["ledger", verb, directory])).exit).toBe(2);
      const { exit, err } = await run(["ledger", verb, garbage]);
      expect([exit, err]).toEqual([2, expect.stringContaining("does not hold what")]);
    },
  );

  it("exits 2 for a bad setting and names it in one line", async () => {
    const { exit, err } = await run(["doctor"], { COUNTERSIGN_PORT: "none" });
    expect(exit).toBe(2);
    expect(err).toMatch(/^countersign: COUNTERSIGN_PORT [^\n]+$/);
  });

  it("is one JSON value too with --json", async () => {
    const { exit, out } = await run(["user", "create", "--json"]);
    expect(exit).toBe(2);
    expect(JSON.parse(out)).toMatchObject({ error: { code: "usage" } });
  });
});

describe("without a server", () => {
  const nobody = { COUNTERSIGN_SERVER: "http://127.0.0.1:9" };

  it("says in one line how to start one", async () => {
    const { exit, err } = await run(["ledger", "checkpoint"], nobody);
    expect(exit).toBe(1);
    expect(err).toBe(
      "countersign: no server answers at http://127.0.0.1:9: start one with `countersign serve`, or set COUNTERSIGN_SERVER",
    );
  });

  it("tells TLS with a port that speaks plain http from silence", async () => {
    const plain = createServer((_request, response) => response.end()).listen(0, "127.0.0.1");
    await once(plain, "listening");
    const { port } = plain.address() as AddressInfo;
    const settings = { COUNTERSIGN_SERVER: `https://127.0.0.1:${port}` };
    const { exit, err } = await run(["ledger", "checkpoint"], settings);
    plain.close();
    expect(exit).toBe(1);
    expect(err).toMatch(/^countersign: .* find no TLS in common: .*COUNTERSIGN_SERVER$/);
  });

  it("says where it looked for the operator's key", async () => {
    const { exit, err } = await run(["keys", "list"], { ...nobody, COUNTERSIGN_DATA_DIR: directory });
    expect(exit).toBe(1);
    expect(err).toContain(join(directory, "operator", "local.json"));
    expect(err).not.toContain("\n");
  });

  it("says that the operator's key file which was named is not there", async () => {
    const { exit, err } = await run(["keys", "list"], { ...nobody, COUNTERSIGN_OPERATOR_KEY: "/nowhere/k" });
    expect(exit).toBe(1);
    expect(err).toBe("countersign: COUNTERSIGN_OPERATOR_KEY names no file: /nowhere/k does not exist");
  });

  it("doctor names what is missing, and exits 1", async () => {
    const { exit, out } = await run(["doctor", "--json"], { ...nobody, COUNTERSIGN_DATA_DIR: directory });
    const report = JSON.parse(out) as { ok: boolean; checks: { name: string; state: string }[] };
    expect([exit, report.ok]).toEqual([1, false]);
    expect(report.checks.map(({ name, state }) => `${name} ${state}`)).toEqual([
      "server failed",
      "operator key failed",
      "server's own view failed",
    ]);
    const text = (await run(["doctor"], { ...nobody, COUNTERSIGN_DATA_DIR: directory })).out;
    expect(text).toMatch(/^server +failed +no server answers at .*: start one with `countersign serve`/m);
  });

  it("doctor says that an agent's key is not an operator's", async () => {
    const key = await keyFile("agents.json", agent);
    const { out } = await run(["doctor"], { ...nobody, COUNTERSIGN_OPERATOR_KEY: key });
    expect(out).toMatch(/^operator key +failed +.* is the key of .*: not an operator's key$/m);
  });
});

it("doctor asks the probe of a server that may issue nothing, and says what it says", async () => {
  const key = await keyFile("operator.json", "spiffe://127.0.0.1/org/default/operator/local");
  const reason = "log default lacks entries that were signed";
  const checks = [
    { name: "database", ok: true },
    { name: "ledger", ok: false, reason },
  ];
  const { exit, out } = await run(
    ["doctor", "--json"],
    { COUNTERSIGN_OPERATOR_KEY: key },
    {
      fetch: async (url) =>
        String(url).endsWith("/readyz")
          ? Response.json({ status: "unready", checks }, { status: 503 })
          : Response.json({ code: "ledger_behind", title: "x" }, { status: 503 }),
    },
  );
  expect(exit).toBe(1);
  expect(JSON.parse(out).checks).toEqual(
    expect.arrayContaining([
      { name: "database", state: "ok", detail: "nothing amiss" },
      { name: "ledger", state: "failed", detail: reason },
    ]),
  );
});

it("says what is amiss with an answer of another version, in our words", async () => {
  const key = await keyFile("ours.json", "spiffe://127.0.0.1/org/default/operator/local");
  const issuer = "http://127.0.0.1:8460";
  const token = { access_token: "t", token_type: "DPoP", expires_in: 300 };
  const listed = { items: [{ id: "opr_01arz3ndektsv4rrffq69g5fav", status: "active", since: 1 }] };
  const fetch: typeof globalThis.fetch = async (url) => {
    if (String(url).endsWith("openid-configuration")) return discovers(issuer).fetch();
    return Response.json(String(url).endsWith("/token") ? token : listed);
  };
  const { exit, err } = await run(["operator", "list"], { COUNTERSIGN_OPERATOR_KEY: key }, { fetch });
  expect(exit).toBe(1);
  expect(err).toBe(
    "countersign: what the server answered is of another version: items.0.client_id: is missing; " +
      "items.0.organization: is missing; items.0.created_at: is missing; items.0.name: is missing; " +
      "items.0.since: is not known here",
  );
});

/** A server that calls itself `issuer`. */
function discovers(issuer: string) {
  return { fetch: async () => Response.json({ issuer, token_endpoint: `${issuer}/token` }) };
}

describe("at another address than the issuer's own", () => {
  const issuer = "https://id.example.com";
  const at = { COUNTERSIGN_SERVER: "http://127.0.0.1:8461" };

  it("what is signed names the issuer, and what is sent goes to the address", async () => {
    const seen: { url: string; htu: unknown; aud: unknown }[] = [];
    const fetch: typeof globalThis.fetch = async (url, init) => {
      if (String(url).endsWith("openid-configuration")) return discovers(issuer).fetch();
      const dpop = new Headers(init?.headers).get("dpop") ?? "";
      const form = init?.body;
      const assertion = form instanceof URLSearchParams ? form.get("client_assertion") : undefined;
      const { htu } = decodeJwt(dpop);
      seen.push({ url: String(url), htu, aud: assertion ? decodeJwt(assertion).aud : undefined });
      if (form instanceof URLSearchParams)
        return Response.json({ access_token: "t", token_type: "DPoP", expires_in: 300 });
      return Response.json({ code: "not_found", title: "x" }, { status: 404 });
    };
    const key = await keyFile("far.json", "spiffe://id.example.com/org/default/operator/local");
    await run(["keys", "list"], { ...at, COUNTERSIGN_OPERATOR_KEY: key }, { fetch });
    expect(seen).toEqual([
      { url: "http://127.0.0.1:8461/token", htu: `${issuer}/token`, aud: issuer },
      { url: "http://127.0.0.1:8461/v1/keys?limit=200", htu: `${issuer}/v1/keys`, aud: undefined },
    ]);
  });

  it("signs nothing for a server that is not the issuer which was asked for", async () => {
    const words = ["token", "--assertion", "--key", await keyFile("mixed.json", agent)];
    const settings = { ...at, COUNTERSIGN_ISSUER: "https://other.example.com" };
    const { exit, err } = await run(words, settings, discovers(issuer));
    expect(exit).toBe(1);
    expect(err).toBe(
      "countersign: the server at http://127.0.0.1:8461 is https://id.example.com, but COUNTERSIGN_ISSUER is https://other.example.com",
    );
  });

  it.each([
    ["a page", () => new Response("<html>")],
    ["another JSON", () => Response.json({ issuer })],
    ["nothing there", () => new Response("no", { status: 404 })],
  ])("says in one line that it is not Countersign: %s", async (name, answer) => {
    const words = ["token", "--assertion", "--key", await keyFile(`${name}.json`, agent)];
    const { exit, err } = await run(words, at, { fetch: async () => answer() });
    expect(exit).toBe(1);
    expect(err).toBe(
      "countersign: what answers at http://127.0.0.1:8461 is not Countersign: set COUNTERSIGN_SERVER to the address of one",
    );
  });
});

describe("--details", () => {
  it.each([
    ["JSON that is broken", "[{", "--details can't be read as JSON"],
    ["a file that is not there", "none.json", "none.json does not exist"],
    ["a type that is left out", '{"server":"files"}', "--details: authorization_details[0].type: is missing"],
    [
      "an unknown type",
      '[{"type":"payment"}]',
      "--details: authorization_details[0].type: none of the types",
    ],
    [
      "one object with a member too many",
      '{"type":"tool_call","server":"files","tools":["x"],"argument":{}}',
      "--details: authorization_details[0].argument: no member of tool_call",
    ],
  ])("says in one line what is wrong, before anything is asked: %s", async (name, details, said) => {
    const fetch = () => Promise.reject(new Error("nothing is to be asked"));
    const grant = [
      "delegate",
      "--from",
      "usr_1",
      "--to",
      "agt_1",
      "--resource",
      "https://r.example",
      "--scope",
      "s",
    ];
    const key = await keyFile(`details ${name}.json`, agent);
    const token = ["token", "--key", key, "--delegation", "dlg_1"];
    for (const words of [grant, token]) {
      const { exit, err } = await run([...words, "--details", details], {}, { fetch });
      expect([exit, err]).toEqual([2, expect.stringContaining(said)]);
      expect(err).not.toContain("\n");
    }
  });

  it("go with a delegation: in its own right an agent has none", async () => {
    const words = ["token", "--key", await keyFile("direct.json", agent), "--resource", "https://a.example"];
    const { exit, err } = await run([...words, "--details", "[]"]);
    expect([exit, err]).toEqual([2, expect.stringContaining("--details goes with --delegation")]);
  });
});

describe("token --assertion", () => {
  it("prints an assertion for the issuer, good once and for a minute, wherever its server is reached", async () => {
    const words = ["token", "--assertion", "--key", await keyFile("a.json", agent)];
    const { exit, out } = await run(words, {}, discovers("http://127.0.0.1:8460"));
    const claims = decodeJwt(out);
    expect(exit).toBe(0);
    expect(decodeProtectedHeader(out)).toMatchObject({ alg: "ES256", typ: "JWT" });
    expect(claims).toMatchObject({ iss: agent, sub: agent, aud: "http://127.0.0.1:8460" });
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(60);
    expect(claims.jti).toMatch(/^[A-Za-z0-9_-]{22}$/);
  });

  it("makes the client id of an agent's id when the file holds a bare key", async () => {
    const words = ["token", "--assertion", "--json", "--key", await keyFile("bare.json")];
    const named = [...words, "--agent", "agt_01arz3ndektsv4rrffq69g5fav"];
    const { out } = await run(named, {}, discovers("http://127.0.0.1:8460"));
    expect(JSON.parse(out)).toMatchObject({ clientId: agent });
    expect((await run(words)).exit).toBe(2);
  });

  it("does not take one agent's key for another's", async () => {
    const words = ["token", "--assertion", "--key", await keyFile("b.json", agent)];
    const { exit, err } = await run([...words, "--agent", agent.replace("fav", "fab")]);
    expect(exit).toBe(2);
    expect(err).toContain("is the key of");
  });
});

it("ledger recover says where there is nothing to recover", async () => {
  const log = logOf(parseOrganizationId("default") ?? never());
  const tree = { size: 5, root: "" };
  const report = { log, origin: "o", state: "extends", present: tree, tilesWrong: 0 } as const;
  const checkpoint = { origin: "o", size: 5, root: new Uint8Array(32), note: "" };
  const recoverLedger = async () => ({ report, checkpoint });
  const { exit, out } = await run(["ledger", "recover"], {}, { recoverLedger });
  expect([exit, out]).toEqual([
    0,
    expect.stringMatching(/^was +as it was signed: there is nothing to recover$/m),
  ]);
});

function never(): never {
  throw new TypeError("it is the name of an organization");
}

describe("serve", () => {
  const ready = {
    issuer: "http://127.0.0.1:8460",
    listensAt: "http://127.0.0.1:8460",
    notReady: undefined,
    workloadsNotServed: undefined,
    close: async () => undefined,
  };

  it("prints the ready event as its first line with --json, and closes when asked to end", async () => {
    let closed = false;
    const startApp = async () => ({
      ...ready,
      close: async () => {
        closed = true;
      },
    });
    const settings = {
      COUNTERSIGN_DATA_DIR: "/d",
      COUNTERSIGN_MTLS_PORT: "8461",
      COUNTERSIGN_BUNDLE_PORT: "8470",
    };
    const { exit, out } = await run(["serve", "--json"], settings, { startApp });
    const places = '"mtls_port":8461,"bundle_port":8470,"socket":"/d/workload.sock"';
    const line = `{"event":"ready","issuer":"http://127.0.0.1:8460",${places}}`;
    expect([exit, out, closed]).toEqual([0, line, true]);
  });

  it("says in words at which other ports it listens, and why no workload is served", async () => {
    const settings = { COUNTERSIGN_MTLS_PORT: "8461", COUNTERSIGN_BUNDLE_PORT: "8470" };
    const startApp = async () => ({ ...ready, workloadsNotServed: "it needs Linux" });
    const { out } = await run(["serve"], settings, { startApp });
    expect(out).toMatch(/^mTLS port +8461$/m);
    expect(out).toMatch(/^bundle port +8470$/m);
    expect(out).toMatch(/^workloads +not served: it needs Linux$/m);
    expect((await run(["serve", "--json"], {}, { startApp })).out).not.toContain("socket");
  });

  it("says in words where it listens when that is not the issuer", async () => {
    const startApp = async () => ({ ...ready, listensAt: "http://127.0.0.1:8461" });
    const { out } = await run(["serve"], {}, { startApp });
    expect(out).toContain("Countersign is ready at http://127.0.0.1:8460\n");
    expect(out).toMatch(/^listening +http:\/\/127\.0\.0\.1:8461$/m);
    expect(out).toContain("\n  COUNTERSIGN_SERVER=http://127.0.0.1:8461 npx countersign user create");
  });

  it("prints commands that find it when copied: they name what is not the default", async () => {
    const startApp = async () => ({ ...ready, listensAt: "http://127.0.0.1:9000" });
    const { out } = await run(["serve", "--data-dir", "/srv/it's here"], {}, { startApp });
    const settings = `COUNTERSIGN_SERVER=http://127.0.0.1:9000 COUNTERSIGN_DATA_DIR='/srv/it'\\''s here'`;
    expect(out).toContain(`\n  ${settings} npx countersign doctor`);
    const plain = await run(["serve"], {}, { startApp: async () => ready });
    expect(plain.out).toContain("\n  npx countersign doctor");
    const { out: toAll } = await run(
      ["serve"],
      {},
      { startApp: async () => ({ ...ready, listensAt: "http://0.0.0.0:8461" }) },
    );
    expect(toAll).toContain("\n  COUNTERSIGN_SERVER=http://127.0.0.1:8461 npx countersign doctor");
    const behindProxy = { ...ready, issuer: "https://id.example.com", listensAt: "http://10.0.0.5:8460" };
    const { out: far } = await run(["serve"], {}, { startApp: async () => behindProxy });
    expect(far).toContain("\n  COUNTERSIGN_SERVER=https://id.example.com npx countersign doctor");
  });

  it("does not call itself ready while a log is not what was signed", async () => {
    const startApp = async () => ({ ...ready, notReady: "log default: see `countersign ledger recover`" });
    const { exit, out } = await run(["serve"], {}, { startApp });
    expect(exit).toBe(0);
    expect(out).toContain("NOT READY: log default");
    expect(out).toContain("npx countersign ledger recover");
    expect(out).not.toContain("is ready");
    expect(JSON.parse((await run(["serve", "--json"], {}, { startApp })).out)).toEqual({
      event: "not-ready",
      issuer: ready.issuer,
      reason: "log default: see `countersign ledger recover`",
      socket: expect.stringMatching(/\/workload\.sock$/),
    });
  });

  it("says what to do when the port is taken", async () => {
    const startApp = () => Promise.reject(Object.assign(new Error("listen"), { code: "EADDRINUSE" }));
    const { exit, err } = await run(["serve", "--port", "9000"], {}, { startApp });
    expect(exit).toBe(1);
    expect(err).toBe(
      "countersign: port 9000 is taken: stop what listens there, or choose another with --port",
    );
  });

  it.each(["COUNTERSIGN_MTLS_PORT", "COUNTERSIGN_BUNDLE_PORT"])(
    "names %s, which chooses another, when that port is taken",
    async (name) => {
      const taken = Object.assign(new Error("listen"), { code: "EADDRINUSE", port: 9001 });
      const startApp = () => Promise.reject(taken);
      const { exit, err } = await run(["serve"], { [name]: "9001" }, { startApp });
      expect([exit, err]).toEqual([
        1,
        expect.stringMatching(new RegExp(`^countersign: port 9001 .*${name}$`)),
      ]);
    },
  );
});

describe("policy", () => {
  it("check and test pass on the policy that ships", async () => {
    expect((await run(["policy", "check"])).exit).toBe(0);
    const { exit, out } = await run(["policy", "test", "--json"]);
    expect([exit, (JSON.parse(out) as { ok: boolean }).ok]).toEqual([0, true]);
  });

  it("[POL-051] test passes on the example, and tells obligations that are not as expected", async () => {
    const example = "policies/example.csv";
    const cases = "policies/example-cases.yaml";
    const passed = await run(["policy", "test", example, "--cases", cases, "--json"]);
    expect([passed.exit, JSON.parse(passed.out)]).toMatchObject([0, { ok: true, untestedRules: [] }]);
    const wrong = join(directory, "wrong.yaml");
    writeFileSync(wrong, readFileSync(cases, "utf8").replace("[step_up]", '["redact:body"]'));
    const { exit, out } = await run(["policy", "test", example, "--cases", wrong]);
    expect(exit).toBe(1);
    expect(out).toMatch(
      /expected allow by staff-reads-files with redact body, got allow by staff-reads-files with step_up/,
    );
  });

  it("check exits 1 and names the line that is wrong", async () => {
    const file = join(directory, "bad.csv");
    writeFileSync(file, "p, too, short\n");
    const { exit, out } = await run(["policy", "check", file]);
    expect(exit).toBe(1);
    expect(out).toContain("line 1");
  });
});
