import { generateKeyPairSync, hash } from "node:crypto";
import { authorizeAction, signActionReport } from "@countersign/sdk/client/actions";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { reportAction } from "@countersign/sdk/contract/actions";
import { createAgent } from "@countersign/sdk/contract/agents";
import { createUser } from "@countersign/sdk/contract/users";
import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import { verifyTlogProof } from "@countersign/sdk/tlog/tlog-proof";
import { formatVerifierKey, parseVerifierKey, verifierKey } from "@countersign/sdk/tlog/vkey";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { audience, exchangeOf } from "../chaos/cast.ts";
import { type Evidence, exportLog, verifierKeyOf } from "../chaos/evidence.ts";
import { sqlOf } from "../chaos/postgres.ts";
import { depsFor, type Party } from "../server.ts";
import { issuerPrivateKeys, newKeyEncryptionKey, openStage, type Stage } from "./stage.ts";

// Who holds the database, or reads the ledger: what they can learn from it, and whether they can change it unseen.
const removals: (() => Promise<void>)[] = [];
const kek = newKeyEncryptionKey();
const secret = "Kassiopeia";
let stage: Stage;
let agent: Party;
let token: string;
let evidence: Evidence;
beforeAll(async () => {
  stage = await openStage((remove) => removals.push(remove), {
    COUNTERSIGN_KEK: kek,
    COUNTERSIGN_LOG_LEVEL: "trace",
  });
  const { cast, installation } = stage;
  const email = `${secret}@mail.example`;
  const { id: owner } = await cast.operator.perform(createUser, { body: { name: secret, email } });
  const { publicJwk } = await makeKeyPair();
  await cast.operator.perform(createAgent, { body: { owner, name: `agent of ${secret}`, jwk: publicJwk } });
  agent = await cast.createAgent("courier");
  const delegation = await cast.grant(agent);
  token = (await stage.clientOf(agent).redeemDelegation({ delegation, resource: audience })).access_token;
  await act();
  for (const scope of ["mail.send", "nothing"]) await stage.ask(agent, { ...exchangeOf(delegation), scope });
  evidence = await exportLog(installation, await verifierKeyOf(installation));
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

/** An agent is allowed one call, and reports another one and what it never asked for. */
async function act(): Promise<void> {
  const { issuer } = stage.installation;
  const deps = depsFor(issuer, stage.at(0));
  const identity = { issuer, clientId: agent.clientId, key: agent.key };
  const intended = { action: "read", scope: ["mail.read"] };
  const call = { server: "files", tool: "read_file", arguments: { path: `/home/${secret}` } };
  const answer = await authorizeAction(deps, identity, token, { ...intended, tool_call: call });
  if (answer.decision !== "allow") throw new Error(`no leave: ${answer.code}`);
  const told = { resource: audience, outcome: "succeeded", started_at: now(), ended_at: now() } as const;
  for (const deed of [
    { ...intended, action_id: answer.action_id },
    { ...intended, action: "delete" },
  ]) {
    const report = await signActionReport(deps, identity, { ...told, ...deed });
    await stage.clientOf(agent).perform(reportAction, { body: { report } });
  }
}

const now = () => new Date().toISOString();
const sql = (text: string) => sqlOf(stage.installation.dataDir, text);

/** Every row of every table, as text. */
async function everyRow(): Promise<string> {
  const tables = await sql(
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'",
  );
  const read = tables.map(({ name }) => sql(`SELECT t::text AS row FROM "${name}" t`));
  return (await Promise.all(read))
    .flat()
    .map(({ row }) => String(row))
    .join("\n");
}

/** All spellings in which octets could stand in a text. */
const spellingsOf = (octets: Buffer) =>
  (["hex", "base64", "base64url"] as const).map((as) => octets.toString(as).replace(/=+$/, ""));

test("[KEY-003] no private key of the issuer is in any row or answer", async () => {
  const keys = await issuerPrivateKeys(stage.installation, kek);
  expect(keys.length).toBeGreaterThanOrEqual(4);
  const operator = await stage.signIn(await stage.installation.operatorKey(), "admin");
  const answers = [await stage.call(operator, { method: "GET", path: "/v1/keys" })].map(({ text }) => text);
  for (const path of ["/jwks", "/metrics", "/.well-known/openid-configuration", "/log/default/checkpoint"]) {
    answers.push(await (await fetch(`${stage.at(0).url}${path}`)).text());
  }
  const rows = await everyRow();
  for (const key of keys) {
    for (const spelling of spellingsOf(key)) {
      expect(rows).not.toContain(spelling);
      expect(answers.join("\n")).not.toContain(spelling);
    }
  }
  expect(rows).not.toMatch(/"d"\s*:|PRIVATE KEY/);
  expect(answers.join("\n")).not.toMatch(/"d"\s*:|PRIVATE KEY/);
});

test("[LED-006] [LED-002] [ACT-001] an entry holds ids: no name, address, token or argument, and inputs of decisions are sealed", async () => {
  const entries = evidence.entries.map((entry) => JSON.stringify(entry)).join("\n");
  const [, payload = "", signature = ""] = token.split(".");
  for (const text of [secret, "@mail.example", "/home/", payload, signature])
    expect(entries).not.toContain(text);
  expect(evidence.entries.filter(({ decision }) => decision !== undefined).length).toBeGreaterThan(3);
  // Whoever has the database has the names of people in their own rows, and nowhere else.
  const rows = await everyRow();
  const named = rows.split("\n").filter((row) => row.includes(secret));
  expect(named.map((row) => row.slice(1, 4)).sort()).toEqual(["agt", "usr"]);
  expect(rows).not.toContain(payload);
  expect(rows).not.toContain("/home/");
  const [input] = await sql("SELECT hash, sealed FROM decision_input LIMIT 1");
  expect(entries).toContain(String(input?.["hash"]));
  expect(String(input?.["sealed"])).not.toContain("mail.read");
});

test("[TOK-001] [ACT-007] what was issued has its entry with the hash of its claims; what was not granted is told as such", () => {
  const { jti } = decodeJwt(token);
  const issued = evidence.entries.filter((entry) => entry.type === "token.issued" && entry.jti === jti);
  const claims = canonicalJson(JSON.parse(JSON.stringify(decodeJwt(token))));
  expect(issued.map(({ claims_hash }) => claims_hash)).toEqual([hash("sha256", claims, "base64url")]);
  expect(evidence.entries.filter(({ type }) => type === "token.refused").length).toBeGreaterThan(0);
  const reports = evidence.entries
    .filter(({ type }) => type === "action.reported")
    .map((entry) => JSON.stringify(entry));
  expect(reports.filter((entry) => entry.includes("unauthorized"))).toHaveLength(1);
  expect(reports.filter((entry) => entry.includes("out_of_scope"))).toHaveLength(1);
});

describe("[LED-005] who verifies a log", () => {
  const verify = async (...words: string[]) => stage.installation.run("ledger", "verify", ...words);

  test("is told that nobody but itself vouches for it, unless they bring the key that they trust", async () => {
    expect((await verify()).out).toMatch(
      /keys +self-asserted.*witnesses +none: the checkpoint is self-asserted/s,
    );
    expect((await verify("--vkey", evidence.vkey)).out).toMatch(/keys +yours.*witnesses +none/s);
  });

  test("takes no other key's word, nor one of the same name", async () => {
    const [name = ""] = evidence.vkey.split("+");
    const { publicKey } = generateKeyPairSync("ed25519");
    const foreign = formatVerifierKey(
      verifierKey(name, Buffer.from(String(publicKey.export({ format: "jwk" }).x), "base64url")),
    );
    const { code, out } = await verify("--vkey", foreign);
    expect([code, out]).toEqual([1, expect.stringContaining("NOT VERIFIED")]);
  });
});

test("[LED-004] a log that was changed in the database is refused by whoever verifies it, and what was changed is proven to nobody", async () => {
  const auditor = await stage.signIn(await stage.installation.operatorKey(), "audit");
  const key = parseVerifierKey(evidence.vkey);
  const isProven = async (index: number) => {
    const entry = await stage.call(auditor, { method: "GET", path: `/log/default/entry/${index}` });
    const proof = await fetch(`${stage.at(0).url}/log/default/proof/${index}`);
    if (entry.status !== 200 || !proof.ok) return false;
    const keys = { logKeys: key === undefined ? [] : [key] };
    return (await verifyTlogProof(entry.text, await proof.text(), keys)).ok;
  };
  expect(await isProven(11)).toBe(true);
  const at = (index: number) => `log_id = 'default' AND index = ${index}`;
  const hashed = (text: string) => `sha256('\\x00'::bytea || convert_to(${text}, 'UTF8'))`;
  const changed = `replace(entry, '"type"', '"tyqe"')`;
  // Each comes before the one that was changed last: whoever looks finds it first.
  const changes = [
    [11, `UPDATE ledger_entry SET entry = ${changed}, leaf_hash = ${hashed(changed)} WHERE ${at(11)}`],
    [9, `UPDATE ledger_entry SET entry = ${changed} WHERE ${at(9)}`],
    [
      5,
      `UPDATE ledger_entry one SET entry = other.entry, leaf_hash = other.leaf_hash FROM ledger_entry other
       WHERE one.log_id = 'default' AND other.log_id = 'default' AND one.index IN (4, 5) AND other.index = 9 - one.index`,
    ],
    [2, `DELETE FROM ledger_entry WHERE ${at(2)}`],
  ] as const;
  for (const [index, change] of changes) {
    await sql(change);
    const { code } = await stage.installation.run("ledger", "verify", "--vkey", evidence.vkey);
    expect([change, code, await isProven(index)]).toEqual([change, 1, false]);
  }
});
