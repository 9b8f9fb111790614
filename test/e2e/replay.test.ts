import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { authorizeAction } from "@countersign/sdk/client/actions";
import { obligationsSchema } from "@countersign/sdk/contract/obligation";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { audience, type Cast, castPlayers, scope } from "../chaos/cast.ts";
import { exportLog, verifierKeyOf } from "../chaos/evidence.ts";
import { sqlOf } from "../chaos/postgres.ts";
import { depsFor, type Installation, makeInstallation, type Party, type ServerProcess } from "../server.ts";

const removals: (() => Promise<void>)[] = [];
let installation: Installation;
let server: ServerProcess;
let cast: Cast;
let agent: Party;
let vkey: string;
const { policy: shipped } = await readShippedPolicy();
const redact = "p, no-body, *, agent, *, *, token.exchange, mail.*, *, redact:body, bodies are private";
const tell = "p, tell, *, agent, *, *, action.authorize, *, *, notify:duty, somebody looks at it";
const closed = "p, closed, *, agent, *, *, action.authorize, *, context.open!=true, deny, nothing is open";

beforeAll(async () => {
  installation = await makeInstallation({}, (remove) => removals.push(remove));
  server = await installation.startServer();
  cast = await castPlayers(installation, server);
  agent = await cast.createAgent("courier");
  vkey = await verifierKeyOf(installation);
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

async function apply(...lines: readonly string[]) {
  const file = join(installation.dataDir, `${randomBytes(8).toString("hex")}.csv`);
  writeFileSync(file, [shipped, ...lines].join("\n"));
  expect(await installation.run("policy", "apply", file)).toMatchObject({ code: 0 });
}

async function redeem() {
  const delegation = await cast.grant(agent);
  const client = installation.clientAt(server, agent);
  return (await client.redeemDelegation({ delegation, resource: audience })).access_token;
}

const act = (token: string) =>
  authorizeAction(
    depsFor(installation.issuer, server),
    { issuer: installation.issuer, clientId: agent.clientId, key: agent.key },
    token,
    { action: "read", scope: [scope] },
  );

const answerSchema = z.looseObject({ ok: z.boolean(), decisions: z.int(), agreed: z.int(), erased: z.int() });
async function replay(...words: readonly string[]) {
  const { code, out } = await installation.run("policy", "replay", ...words, "--json");
  return { code, answer: JSON.parse(out) as unknown };
}

test("[POL-032] obligations stand in the token, in the answer to an action, and in their entries", async () => {
  await apply(redact, tell);
  const token = await redeem();
  const oblige = { kind: "redact", field: "body", rule: "no-body" };
  expect(obligationsSchema.parse(decodeJwt(token)["obligations"])).toEqual([oblige]);
  const notify = { kind: "notify", whom: "duty", rule: "tell" };
  expect(await act(token)).toMatchObject({ decision: "allow", obligations: [notify] });
  await apply(redact, closed);
  expect(await act(token)).toMatchObject({ decision: "deny", rule: "closed" });
  await apply();
  expect(await act(token)).not.toHaveProperty("obligations");
  const { entries } = await exportLog(installation, vkey);
  const told = entries.filter(({ decision }) => decision?.obligations !== undefined);
  expect(told.map(({ type, decision }) => [type, decision?.obligations])).toEqual([
    ["token.issued", [oblige]],
    ["action.authorized", [notify]],
  ]);
});

test("[POL-033] [POL-034] why it was decided so is told, with what would be allowed", async () => {
  const asked = ["explain", "--agent", agent.id, "--resource", audience];
  const given = await installation.run("policy", ...asked, "--scope", scope, "--json");
  expect(JSON.parse(given.out)).toMatchObject({ given: true, rule: "agent-exchanges-delegated" });
  const words = await installation.run("policy", ...asked, "--scope", scope, "--action", "token.issue");
  expect(words).toMatchObject({
    code: 0,
    out: expect.stringMatching(/decision +deny by default-deny.*\nnearest +rule \S+ would allow it if /s),
  });
  const wrong = await installation.run("policy", ...asked, "--scope", scope, "--attribute", "amount=3");
  expect(wrong.code).toBe(1);
});

describe("[POL-030] every decision of a log is made again", () => {
  let file: string;
  let decisions: number;
  beforeAll(async () => {
    const { entries } = await exportLog(installation, vkey);
    decisions = entries.filter(({ decision }) => decision !== undefined).length;
    file = join(installation.dataDir, "export.ndjson");
  });

  test("offline, and of several policies", async () => {
    expect(await replay(file, "--vkey", vkey)).toEqual({
      code: 0,
      answer: expect.objectContaining({ ok: true, keys: "given", decisions, agreed: decisions, erased: 0 }),
    });
    const { answer } = await replay(file, "--from", "0", "--to", "20");
    expect(answerSchema.parse(answer).decisions).toBeLessThan(decisions);
  });

  test("[POL-031] but nothing is said of an export that is not what was signed", async () => {
    const lines = readFileSync(file, "utf8").split("\n");
    const place = lines.findIndex((line) => line.includes("closed") && line.includes('"kind":"entry"'));
    const altered = join(installation.dataDir, "altered.ndjson");
    writeFileSync(
      altered,
      lines
        .with(place, (lines[place] ?? "").replace('"deny\\"', '"allow\\"').replace("deny", "allow"))
        .join("\n"),
    );
    const { code, out } = await installation.run("policy", "replay", altered, "--vkey", vkey);
    expect({ code, out }).toEqual({ code: 1, out: expect.stringMatching(/^NOT VERIFIED: entry \d+/) });
  });

  test("as the server has it, with those whose inputs were erased told apart", async () => {
    const [row] = await sqlOf(
      installation.dataDir,
      "DELETE FROM decision_input WHERE ctid IN (SELECT ctid FROM decision_input LIMIT 1) RETURNING hash",
    );
    expect(row).toBeDefined();
    const { code, answer } = await replay("--vkey", vkey);
    const { erased, agreed, decisions: all, ok } = answerSchema.parse(answer);
    expect({ code, ok, erased, agreed: agreed + 1 }).toEqual({ code: 0, ok: true, erased: 1, agreed: all });
  });
});
