import { randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { authorizeAction, signActionReport } from "@countersign/sdk/client/actions";
import { type ClientIdentity, createClient } from "@countersign/sdk/client/client";
import { reportAction } from "@countersign/sdk/contract/actions";
import { decodeJwt } from "jose";
import { beforeAll, expect, test } from "vitest";
import { until } from "../server.ts";
import { run } from "./cli.ts";
import { type AgentWithFile, serveCommands } from "./served-commands.ts";

// What an operator reads of a delegation with every term, and of what its agent did.
const audience = "https://files.example";
const { server, directory, alice, answer, told, makeAgent } = await serveCommands();
const reading = { action: "read", scope: ["r"] };
const deps = { fetch, now: Date.now, randomBytes: (count: number) => new Uint8Array(randomBytes(count)) };
let operator: string;
let first: AgentWithFile;
let second: AgentWithFile;
let root: string;
let child: string;
let granted: string;
let token: { access_token: string; ledger: { index: number } };

beforeAll(async () => {
  operator = (await answer("operator", "list")).items[0].id;
  first = await makeAgent("first");
  second = await makeAgent("second");
  await answer("resource", "create", "--audience", audience, "--scope", "r", "--owner", alice);
  const terms = ["--to", first.id, "--resource", audience, "--scope", "r", "--max-depth", "2"];
  const limits = ["--budget", "tokens=2", "--budget", "calls=1", "--onward", second.id, "--session", "s-1"];
  granted = await told("delegate", "--from", alice, ...terms, ...limits);
  root = rowOf(granted, "delegation");
  token = await answer("token", "--key", first.file, "--delegation", root);
  const part = ["--to", second.id, "--resource", audience, "--scope", "r"];
  const share = ["--budget", "tokens=1", "--budget", "calls=0"];
  child = (await answer("delegate", "--from", root, "--key", first.file, ...part, ...share)).id;
});

/** What a table says under a name. */
function rowOf(text: string, name: string): string {
  const line = text.split("\n").find((one) => one.trimStart().startsWith(`${name}  `));
  return line?.trimStart().slice(name.length).trimStart() ?? "";
}

function identityOf({ file }: { readonly file: string }): ClientIdentity {
  const { clientId, privateJwk: key } = JSON.parse(readFileSync(file, "utf8"));
  return { issuer: server.issuer, clientId, key };
}

test("`delegate` and `delegation show` tell every term that there is, and what is left of a budget", async () => {
  expect(rowOf(granted, "budget")).toBe("calls: 1, tokens: 2");
  for (const text of [granted, await told("delegation", "show", root)]) {
    expect(rowOf(text, "onward")).toBe(`${second.id} on ${audience} for r`);
    expect(rowOf(text, "further hops")).toBe("2");
    expect(rowOf(text, "session")).toBe("s-1");
    expect(rowOf(text, "asserted by")).toBe(operator);
  }
  expect(rowOf(await told("delegation", "show", root), "budget")).toBe(
    "calls: 1 of 1 left, tokens: 0 of 2 left",
  );
  expect(await answer("delegation", "show", child)).toMatchObject({ budget_left: { tokens: 1, calls: 0 } });
  const below = await told("delegation", "show", child);
  expect(rowOf(below, "session")).toBe("s-1");
  expect(below).not.toMatch(/^(onward|asserted by|details) /m);
});

test("[REG-002] `agent access` denies what a spent budget denies, and tells hops, onward rights and session", async () => {
  const spent = { effect: "deny", reason: "no tokens are left of the delegation's budget" };
  const [access] = (await answer("agent", "access", first.id)).items;
  expect(access.scopes).toMatchObject([{ scope: "r", ...spent, acting: { effect: "allow" } }]);
  expect(access.scopes[0]).not.toHaveProperty("rule");
  const text = await told("agent", "access", first.id);
  expect(text).toMatch(/^ +r +a token: deny +no tokens are left of the delegation's budget$/m);
  expect(text).toMatch(/^ +r +to act: allow +agent-acts-delegated /m);
  expect(rowOf(text, "budget")).toBe("calls: 1 of 1 left, tokens: 0 of 2 left");
  expect(rowOf(text, "further hops")).toBe("2");
  expect(rowOf(text, "onward")).toBe(`${second.id} on ${audience} for r`);
  expect(rowOf(text, "session")).toBe("s-1");
  // Who has tokens left and no calls gets one, and may do nothing with it.
  const [below] = (await answer("agent", "access", second.id)).items;
  expect(below.scopes).toMatchObject([
    { effect: "allow", acting: { ...spent, reason: expect.stringContaining("calls") } },
  ]);
  const refused = await run(["token", "--key", first.file, "--delegation", root], server.environment);
  expect([refused.exit, refused.err]).toEqual([1, expect.stringContaining("budget")]);
});

test("[REG-003] `agent history` tells for whom, by which delegations, by which rule, and why not", async () => {
  await run(["token", "--key", second.file, "--delegation", root], server.environment);
  await answer("token", "--key", second.file, "--delegation", child);
  await until("a checkpoint", async () => (await answer("agent", "history", second.id)).items.length === 2);
  const [issued, issuedWhy, refused, refusedWhy, ...more] = (await told("agent", "history", second.id)).split(
    "\n",
  );
  expect(issued).toMatch(new RegExp(`^\\d+  \\S+  token.issued +${audience} r$`));
  expect(issuedWhy).toBe(`    for ${alice}, by ${root} > ${child}, rule agent-exchanges-delegated`);
  expect(refused).toMatch(/^\d+ {2}\S+ {2}token.refused +invalid_delegation/);
  expect(refusedWhy).toBe(`    by ${root}, refused: presented by another than its grantee`);
  expect(more).toEqual([]);
  expect(await told("agent", "history", second.id, "--before", "1")).toBe("nothing before");
});

test("`agent history` names the delegation whose budget is spent, and of what", async () => {
  const spent = `refused: no tokens left on ${root}`;
  await until("a checkpoint", async () => (await told("agent", "history", first.id)).includes(spent));
});

test("`token` tells the id by which it can be revoked, for which resource, and on whose behalf", async () => {
  const grant = ["--from", alice, "--to", second.id, "--resource", audience, "--scope", "r"];
  const { id } = await answer("delegate", ...grant);
  const words = ["token", "--key", second.file, "--delegation", id];
  const { access_token, token } = await answer(...words);
  const { jti } = decodeJwt(access_token);
  expect(token).toEqual({ jti, resource: audience, subject: alice });
  const text = await told(...words);
  expect(rowOf(text, "jti")).toMatch(/^tok_/);
  expect([rowOf(text, "resource"), rowOf(text, "subject")]).toEqual([audience, alice]);
  const direct = ["token", "--key", second.file, "--resource", audience, "--scope", "r"];
  const { exit, err } = await run(direct, server.environment);
  expect([exit, err]).toEqual([1, expect.stringMatching(/invalid_target.*; to redeem .* --delegation$/)]);
});

test("`agent accountability` and `agent reports` tell what was granted, and what of it was reported", async () => {
  const me = identityOf(first);
  const allowed = await authorizeAction(deps, me, token.access_token, reading);
  if (allowed.decision !== "allow") throw new Error(allowed.reason);
  const times = { started_at: "2026-11-25T00:00:00Z", ended_at: "2026-11-25T00:00:01Z" };
  const deed = { ...reading, resource: audience, outcome: "succeeded", ...times } as const;
  const client = createClient(deps, me);
  const tool_call = { server: "files", tool: "read_file", arguments_hash: "A".repeat(43) };
  for (const told of [
    { ...deed, action_id: allowed.action_id },
    { ...deed, tool_call },
  ]) {
    await client.perform(reportAction, { body: { report: await signActionReport(deps, me, told) } });
  }
  expect(await answer("agent", "accountability", first.id)).toMatchObject({
    granted: 1,
    claimed: 1,
    witnessed: 0,
  });
  const sums = await told("agent", "accountability", first.id);
  expect(rowOf(sums, "of them claimed by the agent")).toBe("1");
  expect(rowOf(sums, "reports of what was not granted")).toBe("1");
  const page = await answer("agent", "reports", first.id, "--limit", "1");
  expect(page).toMatchObject({ items: [{ action_id: allowed.action_id }], next: expect.any(String) });
  expect((await answer("agent", "reports", first.id, "--cursor", page.next)).items).toMatchObject([
    { standing: "unauthorized" },
  ]);
  expect(await told("agent", "reports", first.id)).toMatch(
    new RegExp(
      `^default \\d+  \\S+  agent ${first.id}  succeeded  as_granted +${allowed.action_id}  read for r at ${audience}$`,
      "m",
    ),
  );
  expect(await told("agent", "reports", first.id)).toMatch(
    new RegExp(`unauthorized +- +read for r at ${audience} by files read_file$`, "m"),
  );
  expect(await told("agent", "reports", second.id)).toBe("none");
});

test("`operator create` makes one whose key file serves the commands, and shows no key beside it", async () => {
  const file = join(directory, "deploy.json");
  const text = await told("operator", "create", "--name", "deploy", "--out", file);
  expect(text).not.toContain('"d"');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const id = rowOf(text, "operator");
  const environment = { COUNTERSIGN_SERVER: server.issuer, COUNTERSIGN_OPERATOR_KEY: file };
  const shown = await run(["operator", "show", id], environment);
  expect([shown.exit, rowOf(shown.out, "name"), rowOf(shown.out, "status")]).toEqual([0, "deploy", "active"]);
  expect(await told("operator", "list")).toMatch(new RegExp(`^${id}  active  deploy$`, "m"));
  expect(await answer("operator", "create", "--name", "bare")).toMatchObject({ privateJwk: { kty: "EC" } });
});

test("what a revocation counts is called by what it is", async () => {
  expect(rowOf(await told("revoke", "delegation", root, "--dry-run"), "agents that hold them")).toBe("1");
  expect(rowOf(await told("revoke", "agent", first.id, "--dry-run"), "other agents that hold them")).toBe(
    "1",
  );
  const offboarded = await told("user", "offboard", alice, "--dry-run");
  expect(rowOf(offboarded, "agents it would stop")).toBe("2");
  expect(rowOf(offboarded, "other agents that hold them")).toBe("0");
  const receipt = await told("revoke", "agent", first.id);
  expect([
    rowOf(receipt, "delegations ended with it"),
    rowOf(receipt, "other agents that held them"),
  ]).toEqual(["2", "1"]);
});
