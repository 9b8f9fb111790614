import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { decodeJwt } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { until } from "../server.ts";
import { run } from "./cli.ts";
import { type AgentWithFile, serveCommands } from "./served-commands.ts";

const audience = "https://files.example";
const { server, directory, alice, answer, refusal, makeAgent } = await serveCommands();
let one: AgentWithFile;
let two: AgentWithFile;
let delegation: string;

beforeAll(async () => {
  one = await makeAgent("one");
  two = await makeAgent("two");
  await answer(
    "resource",
    "create",
    "--audience",
    audience,
    "--scope",
    "r",
    "--scope",
    "w",
    "--owner",
    alice,
  );
  delegation = (
    await delegate(
      "--from",
      alice,
      "--to",
      one.id,
      "--scope",
      "r",
      "--scope",
      "w",
      "--expires",
      "30m",
      "--max-depth",
      "2",
    )
  ).id;
});

const delegate = (...words: string[]) => answer("delegate", "--resource", audience, ...words);

it("serve announces itself in its first line", () => {
  expect(JSON.parse(server.firstLine)).toEqual({
    event: "ready",
    issuer: server.issuer,
    ...(process.platform === "linux" && { socket: join(server.dataDir, "workload.sock") }),
  });
});

describe("agent create", () => {
  it("writes the key for its owner only, and does not print it too", async () => {
    const file = join(directory, "quiet.json");
    const words = ["agent", "create", "--owner", alice, "--name", "quiet", "--out", file, "--json"];
    const { out } = await run(words, server.environment);
    expect(out).not.toContain('"d"');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({
      clientId: expect.stringContaining("spiffe://"),
    });
  });

  it("gives id, client id, SPIFFE ID and private key, which are good for a token as they are", async () => {
    const made = await answer("agent", "create", "--owner", alice, "--name", "loud");
    expect(made.clientId).toBe(made.spiffeId);
    const file = join(directory, "loud.json");
    writeFileSync(file, JSON.stringify(made), { mode: 0o600 });
    expect(
      await answer("token", "--key", file, "--resource", `${server.issuer}/v1`, "--scope", "delegate"),
    ).toMatchObject({ token_type: "DPoP" });
  });
});

describe("agent create --no-key", () => {
  it("[AGT-007] makes an agent that no key speaks for, and nobody gets one", async () => {
    const made = await answer("agent", "create", "--owner", alice, "--name", "keyless", "--no-key");
    expect(Object.keys(made).sort()).toEqual(["clientId", "id", "ledger", "spiffeId"]);
    expect(await answer("agent", "show", made.id)).toMatchObject({ status: "active", keys: [] });
  });

  it("goes with no option that is about a key", async () => {
    const words = ["agent", "create", "--owner", alice, "--name", "keyless", "--no-key", "--jwk", one.file];
    expect((await run(words, server.environment)).exit).toBe(2);
  });
});

describe("resource create", () => {
  it("names the audience that another resource has already", async () => {
    const words = ["resource", "create", "--audience", audience, "--scope", "r", "--open"];
    const { exit, err } = await run(words, server.environment);
    expect(exit).toBe(1);
    expect(err).toBe(`countersign: refused (conflict): ${audience} is another resource's already`);
  });
});

it("every command that changes something says where that is recorded, in its last line", async () => {
  const told = async (...words: string[]) => (await run(words, server.environment)).out;
  const { id } = await makeAgent("changed");
  const bob = (await answer("user", "create", "--name", "Bob")).id;
  const grant = ["--to", id, "--resource", audience, "--scope", "r"];
  for (const words of [
    ["user", "create", "--name", "Carl"],
    ["agent", "create", "--owner", alice, "--name", "told"],
    ["resource", "create", "--audience", "https://told.example", "--scope", "r", "--owner", alice],
    ["operator", "create", "--name", "told"],
    ["client", "set", id],
    ["delegate", "--from", alice, ...grant],
    ["token", "--key", one.file, "--delegation", delegation],
    ["agent", "suspend", id],
    ["agent", "resume", id],
    ["agent", "transfer", id, "--to", bob],
    ["revoke", "token", "tok_01arz3ndektsv4rrffq69g5faw"],
    ["agent", "retire", id],
    ["user", "offboard", bob],
  ]) {
    expect([words, (await told(...words)).split("\n").find((line) => line.startsWith("recorded: "))]).toEqual(
      [words, expect.stringMatching(/^recorded: log default, entry \d+$/)],
    );
  }
});

describe("resource create, for nobody", () => {
  it("is a wrong call that names --owner and --open; one that is made says who may grant on it", async () => {
    const words = ["resource", "create", "--audience", "https://nobody.example", "--scope", "r"];
    const { exit, err } = await run(words, server.environment);
    expect([exit, err]).toEqual([2, expect.stringMatching(/--owner.*--open/)]);
    const { out } = await run([...words, "--open"], server.environment);
    expect(out).toMatch(/^open to all +yes$/m);
    expect(out).toMatch(/^owner +none$/m);
    expect(out).toMatch(/^scope +r$/m);
  });
});

describe("revoke token", () => {
  it("promises what it can, and does not claim that there was such a token", async () => {
    const id = "tok_01arz3ndektsv4rrffq69g5fav";
    const { exit, out } = await run(["revoke", "token", id], server.environment);
    expect(exit).toBe(0);
    expect(out).toMatch(new RegExp(`^no token with the id ${id} is accepted any more\n`));
  });
});

describe("delegate and token", () => {
  it("a person's grant becomes a token that names its chain and its entry", async () => {
    const token = await answer(
      "token",
      "--key",
      one.file,
      "--delegation",
      delegation,
      "--resource",
      audience,
      "--scope",
      "r",
    );
    expect(decodeJwt(token.access_token)).toMatchObject({
      sub: alice,
      aud: audience,
      scope: "r",
      delegation,
    });
    const { entry } = await answer("ledger", "show", String(token.ledger.index));
    expect(JSON.parse(entry)).toMatchObject({ type: "token.issued", delegation });
  });

  it("the agent it was made to passes a part of it on, and no more than it has", async () => {
    const words = ["--from", delegation, "--key", one.file, "--to", two.id];
    const child = await delegate(...words, "--scope", "r", "--expires", "5m");
    expect(child.id).toMatch(/^dlg_/);
    expect(await refusal("delegate", "--resource", audience, ...words, "--scope", "x")).toBe(
      "scope_widening",
    );
  });

  it("limits a grant, a part of it and a token of that to tool calls, and shows to which", async () => {
    const under = (prefix: string) =>
      ({
        type: "tool_call",
        server: "files",
        tools: ["read_file"],
        arguments: { path: { prefix } },
      }) as const;
    const file = join(directory, "details.json");
    writeFileSync(file, JSON.stringify([under("/data")], null, 2));
    const root = ["delegate", "--from", alice, "--to", one.id, "--resource", audience, "--scope", "r"];
    const shown = await run([...root, "--max-depth", "1", "--details", file], server.environment);
    expect(shown.out).toContain(JSON.stringify(under("/data")));
    const id = /dlg_\w+/.exec(shown.out)?.[0] ?? "";
    const below = ["--from", id, "--key", one.file, "--to", two.id, "--scope", "r"];
    const child = await delegate(...below, "--details", JSON.stringify(under("/data/two")));
    const redeem = ["token", "--key", two.file, "--delegation", child.id, "--details"];
    const part = JSON.stringify(under("/data/two/x"));
    const token = await answer(...redeem, part);
    expect(JSON.stringify(token.authorization_details)).toBe(`[${part}]`);
    expect((await run([...redeem, part], server.environment)).out).toContain(part);
    expect(await refusal(...redeem, JSON.stringify([under("/data")]))).toBe("invalid_scope");
  });

  it("redeems a delegation for its own resource when none is named", async () => {
    const token = await answer("token", "--key", one.file, "--delegation", delegation, "--scope", "r");
    expect(decodeJwt(token.access_token)).toMatchObject({ aud: audience, scope: "r" });
  });

  it("is useless to another agent", async () => {
    expect(
      await refusal(
        "token",
        "--key",
        two.file,
        "--delegation",
        delegation,
        "--resource",
        audience,
        "--scope",
        "r",
      ),
    ).toBe("invalid_request");
  });

  it("an assertion from the CLI is good once for a token by plain HTTP", async () => {
    const { clientId, assertion } = await answer("token", "--assertion", "--key", one.file);
    const ask = () =>
      fetch(`${server.issuer}/token`, {
        method: "POST",
        body: new URLSearchParams({
          grant_type: "client_credentials",
          client_id: clientId,
          client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
          client_assertion: assertion,
          resource: `${server.issuer}/v1`,
          scope: "delegate",
        }),
      });
    expect((await ask()).status).toBe(200);
    expect((await ask()).status).toBe(401);
  });
});

describe("revoke and agent", () => {
  it("a revoked delegation, a suspended and a retired agent get nothing any more", async () => {
    const three = await makeAgent("three");
    const granted = await delegate("--from", alice, "--to", three.id, "--scope", "r");
    const redeem = [
      "token",
      "--key",
      three.file,
      "--delegation",
      granted.id,
      "--resource",
      audience,
      "--scope",
      "r",
    ];
    await answer(...redeem);
    await answer("agent", "suspend", three.id);
    await refusal(...redeem);
    await answer("agent", "resume", three.id);
    const exitOf = async () => (await run([...redeem, "--json"], server.environment)).exit;
    await until("the second after its suspension", async () => (await exitOf()) === 0);
    const receipt = await answer("revoke", "delegation", granted.id);
    expect(receipt).toMatchObject({
      revoked: { kind: "delegation", id: granted.id },
      ledger: { log: "default" },
      tree_size: receipt.ledger.index + 1,
      counts: { delegations: 0, agents: 0 },
    });
    expect(await refusal(...redeem)).toBe("invalid_request");
    expect((await answer("revoke", "agent", three.id)).revoked.kind).toBe("agent");
    expect(await refusal("agent", "resume", three.id)).toBe("conflict");
  });
});

describe("revoke", () => {
  it("says how far it reached, in words and in JSON", async () => {
    const [top, below] = [await makeAgent("top"), await makeAgent("below")];
    const root = await delegate("--from", alice, "--to", top.id, "--scope", "r", "--max-depth", "1");
    await delegate("--from", root.id, "--key", top.file, "--to", below.id, "--scope", "r");
    const { exit, out } = await run(["revoke", "delegation", root.id], server.environment);
    expect(exit).toBe(0);
    expect(out).toMatch(/^tree size +\d+$/m);
    expect(out).toMatch(/^delegations ended with it +1$/m);
    expect(out).toMatch(/^agents that held them +1$/m);
    expect((await answer("revoke", "agent", top.id)).counts).toEqual({ delegations: 2, agents: 1 });
  });
});

describe("keys", () => {
  it("tells in columns who signs since when, what a change changed, and that a token key is not tainted", async () => {
    const told = async (...words: string[]) => (await run(["keys", ...words], server.environment)).out;
    const list = await told("list");
    expect(list).toMatch(/^\S{43} +token +ES256 +active +since \S+ +signs until \S+Z$/m);
    expect(list).toMatch(
      /^\S{43} +x509_authority .* active +since \S+ +signs until \S+, published until \S+Z$/m,
    );
    expect(list).toMatch(/^\S{43} +log +default +EdDSA +active +since \S+ +signs until \S+Z$/m);
    expect(list).toMatch(/^\S{43} +jwt_authority .* next .*published before it signs$/m);
    const changed = (await told("rotate", "--purpose", "jwt_authority")).split("\n").slice(0, 2);
    const was = changed.map((line) => /was \w+/.exec(line)?.[0]);
    expect(new Set(was)).toEqual(new Set(["was active", "was next"]));
    const keys: { id: string; purpose: string }[] = await answer("keys", "list");
    const id = keys.find(({ purpose }) => purpose === "token")?.id ?? "";
    const { exit, err } = await run(["keys", "taint", id], server.environment);
    expect([exit, err]).toEqual([1, expect.stringMatching(/a token key is not tainted: rotate twice/)]);
    expect(await told("list")).toMatch(/^\S{43} +jwt_authority .* retired .*published until \S+Z$/m);
  });

  it.each(["-k", "--", "-h"])("takes an id for one that begins as an option does: %s", async (begin) => {
    const id = begin.padEnd(43, "V");
    for (const words of [[id], [id, "--json"], ["--", id]]) {
      const { exit, err } = await run(["keys", "taint", ...words], server.environment);
      expect([exit, err]).toEqual([1, expect.stringContaining("not_found")]);
    }
  });

  it("rotates without a restart, and what was signed before stays good", async () => {
    const active = (keys: { purpose: string; status: string; id: string }[]) =>
      keys.find(({ purpose, status }) => purpose === "token" && status === "active")?.id;
    const before = active(await answer("keys", "list"));
    const after = active(await answer("keys", "rotate"));
    expect(after).not.toBe(before);
    await answer(
      "token",
      "--key",
      one.file,
      "--delegation",
      delegation,
      "--resource",
      audience,
      "--scope",
      "r",
    );
    await answer("ledger", "verify");
  });
});

describe("client", () => {
  it("sets all of it at once, shows it, and shows a secret once", async () => {
    const { id } = await makeAgent("client");
    const uri = "https://app.example/callback";
    const basic = ["--compat", "--auth-method", "client_secret_basic", "--redirect-uri", uri];
    const made = await answer("client", "set", id, ...basic, "--dpop-nonce-required");
    expect(made).toMatchObject({ id, compat: true, client_secret: expect.stringMatching(/^csec_/) });
    const shown = await answer("client", "show", id);
    expect(shown).toMatchObject({ redirect_uris: [uri], dpop_nonce_required: true });
    expect(shown).not.toHaveProperty("client_secret");
    expect(await answer("client", "set", id)).toMatchObject({ compat: false, redirect_uris: [] });
    expect(await refusal("client", "set", id, "--auth-method", "client_secret_basic")).toBe(
      "invalid_request",
    );
  });
});

describe("ledger", () => {
  it("verifies as served and as exported, with the key that the server shows", async () => {
    expect(await answer("ledger", "verify")).toMatchObject({
      ok: true,
      remembered: expect.stringContaining("continues"),
    });
    expect(await answer("ledger", "verify", "--log", "system")).toMatchObject({ ok: true });
    const file = join(directory, "default.ndjson");
    await answer("ledger", "export", "--out", file);
    const keys: { log?: string; status: string; vkey: string }[] = await answer("keys", "list");
    const vkeys = keys.filter(({ log }) => log === "default").flatMap(({ vkey }) => ["--vkey", vkey]);
    expect(await answer("ledger", "verify", file, ...vkeys)).toMatchObject({ ok: true, keys: "given" });
  });

  it("names the first entry that was changed in an export, and exits 1", async () => {
    const file = join(directory, "changed.ndjson");
    await answer("ledger", "export", "--out", file);
    writeFileSync(file, readFileSync(file, "utf8").replace("user.created", "user.cheated"));
    const { exit, out } = await run(["ledger", "verify", file], server.environment);
    expect(exit).toBe(1);
    expect(out).toMatch(/^NOT VERIFIED: entry \d+: /);
  });

  it("shows the checkpoint and proves an entry to anybody", async () => {
    const { checkpoint } = await answer("ledger", "checkpoint");
    expect(checkpoint).toContain("/log/default\n");
    expect((await answer("ledger", "prove", "0")).proof).toContain("c2sp.org/tlog-proof@v1\nindex 0\n");
    expect(await refusal("ledger", "show", "999999")).toBe("not_found");
  });
});

it("doctor finds all well", async () => {
  const report = await answer("doctor");
  expect(report).toMatchObject({ ok: true, server: server.issuer });
  expect(report.checks.map(({ name }: { name: string }) => name)).toEqual(
    expect.arrayContaining([
      "server",
      "operator key",
      "database",
      "keys",
      "ledger",
      "log system",
      "log default",
    ]),
  );
  const { checks } = report as { checks: { name: string; state: string; detail: string }[] };
  const detailOf = (wanted: string) => checks.find(({ name }) => name === wanted)?.detail;
  expect(detailOf("X.509 authority")).toMatch(/^one signs until \d{4}-.*Z; no successor is prepared yet$/);
  expect(detailOf("JWT authority")).toBe("one signs; its successor is prepared");
  const served =
    process.platform === "linux"
      ? "served at workload.sock in the data directory"
      : "not served: it needs Linux";
  expect(detailOf("Workload API")).toBe(served);
});

it("an operator's key file elsewhere serves as well", async () => {
  const elsewhere = join(directory, "operator.json");
  writeFileSync(elsewhere, readFileSync(join(server.dataDir, "operator", "local.json")));
  const environment = { COUNTERSIGN_SERVER: server.issuer, COUNTERSIGN_OPERATOR_KEY: elsewhere };
  expect((await run(["keys", "list"], environment)).exit).toBe(0);
});
