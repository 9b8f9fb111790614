import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "@countersign/sdk/client/client";
import { getPolicy, previewPolicy } from "@countersign/sdk/contract/policies";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { audience, type Cast, castPlayers, scope } from "../chaos/cast.ts";
import { sqlOf } from "../chaos/postgres.ts";
import { type Installation, makeInstallation, type Party, type ServerProcess } from "../server.ts";

const removals: (() => Promise<void>)[] = [];
let installation: Installation;
let server: ServerProcess;
let cast: Cast;
let operator: Client;
let agent: Party;
let delegation: string;
let redeemed: readonly { readonly index: number; readonly input: string }[];
beforeAll(async () => {
  installation = await makeInstallation({}, (remove) => removals.push(remove));
  server = await installation.startServer();
  cast = await castPlayers(installation, server);
  operator = cast.operator;
  agent = await cast.createAgent("courier");
  delegation = await cast.grant(agent);
  for (let n = 0; n < 3; n++) await redeem();
  redeemed = await decidedBy(allowed.rule);
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

const { policy: shipped } = await readShippedPolicy();
const noMail = `p, no-mail, *, agent, *, ${audience}, token.exchange, ${scope}, *, deny, the mail is closed`;
const closed = `${shipped}\n${noMail}`;
const allowed = { effect: "allow", rule: "agent-exchanges-delegated", obliged_by: [] };
const redeem = () =>
  installation.clientAt(server, agent).redeemDelegation({ delegation, resource: audience });
const preview = (source: string, last?: number) =>
  operator.perform(previewPolicy, { body: { source, ...(last !== undefined && { last }) } });
const run = async (...words: string[]) => {
  const { code, out, err } = await installation.run("policy", ...words, "--json");
  return { code, answer: JSON.parse(out || err) };
};
const fileOf = (source: string) => {
  const path = join(installation.dataDir, "next.csv");
  writeFileSync(path, source);
  return path;
};

/** The decisions by a rule, as the log tells of them. */
async function decidedBy(rule: string): Promise<{ readonly index: number; readonly input: string }[]> {
  const rows = await sqlOf(
    installation.dataDir,
    "SELECT index, entry FROM ledger_entry WHERE log_id = 'default' ORDER BY index",
  );
  return rows.flatMap(({ index, entry }) => {
    const { decision } = JSON.parse(String(entry));
    return decision?.rule === rule ? [{ index: Number(index), input: decision.input }] : [];
  });
}

describe("[POL-050] a policy that is not in force yet is told", () => {
  test("by the decisions that would have been others under it, and by which lines", async () => {
    const answer = await preview(closed);
    expect(answer.flips).toEqual(
      redeemed
        .map(({ index }) => ({
          index,
          before: allowed,
          after: { effect: "deny", rule: "no-mail", obliged_by: [] },
        }))
        .reverse(),
    );
    expect(answer).toMatchObject({ flipped: 3, other_rule: 0, erased: 0 });
    expect(answer.decisions).toBeGreaterThan(3);
  });

  test("by what its allowances would come with, and by lines that say the same", async () => {
    const redact = `p, no-body, *, agent, *, ${audience}, token.exchange, *, *, redact:body, bodies are private`;
    const flips = (await preview(`${shipped}\n${redact}`)).flips;
    expect(flips.map(({ after }) => after)).toEqual(Array(3).fill({ ...allowed, obliged_by: ["no-body"] }));
    const renamed = shipped.replace("agent-exchanges-delegated", "renamed");
    expect(await preview(renamed)).toMatchObject({ flipped: 0, other_rule: 3 });
  });

  test("by no more of the last decisions than was asked for", async () => {
    expect(await preview(closed, 1)).toMatchObject({ decisions: 1 });
    const refused = await preview(closed, 10_001).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "invalid_request" });
  });

  test("as what it is where it could not come into force", async () => {
    const refused = await preview(`${shipped}\nq, what`).catch((error: unknown) => error);
    expect(refused).toMatchObject({
      code: "policy_refused",
      message: expect.stringMatching(/^line \d+: it begins/),
    });
  });

  test("and by asking nothing is changed or recorded", async () => {
    const state = async () => {
      const { hash, number } = await operator.perform(getPolicy, { params: { number: "current" } });
      const types = await sqlOf(
        installation.dataDir,
        "SELECT entry::jsonb ->> 'type' AS type FROM ledger_entry WHERE entry NOT LIKE '%token.issued%' AND entry NOT LIKE '%checkpoint.recorded%'",
      );
      return { hash, number, types };
    };
    const before = await state();
    await preview(closed);
    expect((await run("apply", fileOf(closed), "--dry-run")).answer).toMatchObject({ flipped: 3 });
    expect(await state()).toEqual(before);
  });

  test("by the command, and what it tells comes true", async () => {
    const { code, answer } = await run("flips", fileOf(closed), "--last", "5000");
    expect({ code, flipped: answer.flipped }).toEqual({ code: 0, flipped: 3 });
    const { answer: applied } = await run("apply", fileOf(closed));
    expect(applied.hash).toBe(answer.policy);
    await expect(redeem()).rejects.toMatchObject({ code: "access_denied" });
    await run("rollback", String(applied.number - 1));
  });

  test("and what was erased is counted as that", async () => {
    const [first = expect.unreachable()] = redeemed;
    await sqlOf(installation.dataDir, `DELETE FROM decision_input WHERE hash = '${first.input}'`);
    const { erased, flips } = await preview(closed);
    expect({ erased, told: flips.some(({ index }) => index === first.index) }).toEqual({
      erased: 1,
      told: false,
    });
  });

  test("to operators only", async () => {
    const client = installation.clientAt(server, agent);
    await expect(client.perform(previewPolicy, { body: { source: closed } })).rejects.toMatchObject({
      code: expect.stringMatching(/access_denied|insufficient_scope/),
    });
  });
});
