import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "@countersign/sdk/client/client";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { signPolicyApplication } from "@countersign/sdk/client/policies";
import { createOperator } from "@countersign/sdk/contract/operators";
import { applyPolicy, getPolicy } from "@countersign/sdk/contract/policies";
import { createUser } from "@countersign/sdk/contract/users";
import { parseOrganizationId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy } from "../../src/policy/snapshot.ts";
import { freePort, type Installation, makeInstallation, type Party, type ServerProcess } from "../server.ts";

const removals: (() => Promise<void>)[] = [];
let installation: Installation;
let server: ServerProcess;
let other: ServerProcess;
let operator: Client;
beforeAll(async () => {
  installation = await makeInstallation({}, (remove) => removals.push(remove));
  server = await installation.startServer();
  other = await installation.startServer(await freePort());
  operator = await installation.operatorAt(server);
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

const { model, policy: shipped } = await readShippedPolicy();
const organization = parseOrganizationId("default");
if (organization === undefined) throw new Error("default must be an organization's id");
const noAudit =
  "p, nobody-audits, *, *, *, {issuer}/v1, token.issue, audit, *, deny, nobody reads the ledger";
const remark = (text: string) => `${shipped}\n# ${text}\ng, usr_01k9, ${text}, *`;

const current = () => operator.perform(getPolicy, { params: { number: "current" } });
const hashOf = async (source: string) =>
  (await loadPolicy({ model, policy: source, issuer: installation.issuer })).hash;
const signed = async (by: Omit<Party, "id">, source: string, previous: string) =>
  signPolicyApplication(
    { now: Date.now, randomBytes },
    { issuer: installation.issuer, clientId: by.clientId, key: by.key },
    { organization, policy: await hashOf(source), previous },
  );
const applySigned = async (source: string, signature: string) =>
  operator.perform(applyPolicy, { body: { source, signature } });
const run = async (...words: string[]) => {
  const { code, out, err } = await installation.run("policy", ...words, "--json");
  return { code, answer: JSON.parse(out || err) };
};
const fileOf = (source: string) => {
  const path = join(installation.dataDir, `${randomBytes(8).toString("hex")}.csv`);
  writeFileSync(path, source);
  return path;
};

describe("[POL-006] a policy comes into force", () => {
  test("in every process, is told with its lines, and goes back to an earlier one", async () => {
    const before = await current();
    const source = remark("apprentice");
    const { code, answer: applied } = await run("apply", fileOf(source));
    expect({ code, number: applied.number }).toEqual({ code: 0, number: before.number + 1 });
    expect(await current()).toMatchObject({ hash: applied.hash, source });
    const there = await installation.operatorAt(other);
    expect(await there.perform(getPolicy, { params: { number: "current" } })).toMatchObject({
      hash: applied.hash,
    });
    expect((await run("diff", fileOf(shipped))).answer.changes).toEqual([
      { of: "role", name: "usr_01k9 apprentice *", before: "usr_01k9, apprentice, *" },
    ]);

    const back = await run("rollback", String(before.number));
    expect(back.answer).toMatchObject({ number: before.number + 2, hash: before.hash });
    const { answer } = await run("list");
    expect(answer.items.slice(-3).map((one: { hash: string }) => one.hash)).toEqual([
      before.hash,
      applied.hash,
      before.hash,
    ]);
  });

  test("and decides from then on, in the other process too as soon as it hears of it", async () => {
    const allowed = await current();
    const users = "p, no-users, *, operator, *, {issuer}/v1, token.issue, revocations, *, deny, not now";
    await run("apply", fileOf(`${shipped}\n${users}`));
    for (const at of [server, other]) {
      const client = await installation.operatorAt(at);
      const asked = () =>
        client
          .requestToken({ resource: `${installation.issuer}/v1`, scope: "revocations" })
          .catch((error) => error);
      await expect.poll(asked, { timeout: 30_000 }).toMatchObject({ code: "access_denied" });
    }
    await run("rollback", String(allowed.number));
  });
});

describe("[POL-007] the policy in force stays, and the refusal says why, where another one", () => {
  let before: Awaited<ReturnType<typeof current>>;
  beforeAll(async () => {
    before = await current();
  });
  const refused = async (source: string, signature: string) => {
    const answer = await applySigned(source, signature).catch((error: unknown) => error);
    expect(await current()).toMatchObject({ number: before.number, hash: before.hash });
    return answer;
  };

  test("does not parse: the line and the reason are named", async () => {
    const own = await installation.operatorKey();
    const signature = await signed(own, remark("reader"), before.hash);
    expect(await refused(`${shipped}\nq, what`, signature)).toMatchObject({
      code: "policy_refused",
      message: expect.stringMatching(/^line \d+: it begins with neither p, g, e nor m$/),
    });
  });

  test("would lock its applicant out", async () => {
    const own = await installation.operatorKey();
    const source = `${shipped}\n${noAudit}`;
    expect(await refused(source, await signed(own, source, before.hash))).toMatchObject({
      code: "policy_refused",
      message: expect.stringMatching(/you would be locked out/),
    });
  });

  test.each([
    ["a rule", "p, theirs, globex, agent, *, *, token.issue, admin, *, allow, theirs"],
    ["a role", "g, usr_01k9, operator, globex"],
    ["an entity", "e, record:a, globex, {}"],
  ])("has %s of another organization", async (_, line) => {
    const own = await installation.operatorKey();
    const source = `${shipped}\n${line}`;
    expect(await refused(source, await signed(own, source, before.hash))).toMatchObject({
      code: "policy_refused",
      message: expect.stringMatching(/another organization/),
    });
  });

  test("is not the one that was signed, or signed by somebody else", async () => {
    const own = await installation.operatorKey();
    const source = remark("reader");
    const otherPolicy = await signed(own, remark("writer"), before.hash);
    expect(await refused(source, otherPolicy)).toMatchObject({ code: "not_authorized" });

    const { publicJwk, privateJwk: key } = await makeKeyPair();
    const made = await operator.perform(createOperator, { body: { name: "Bob", jwk: publicJwk } });
    const byBob = await signed({ clientId: made.client_id, key }, source, before.hash);
    expect(await refused(source, byBob)).toMatchObject({ code: "not_authorized" });
    const byNobody = await signed({ clientId: own.clientId, key }, source, before.hash);
    expect(await refused(source, byNobody)).toMatchObject({ code: "not_authorized" });
  });

  test("was signed to follow another version: a signature is good once", async () => {
    const own = await installation.operatorKey();
    const [one, two] = [remark("reader"), remark("writer")];
    const [first, second] = await Promise.all([signed(own, one, before.hash), signed(own, two, before.hash)]);
    const answers = await Promise.allSettled([applySigned(one, first), applySigned(two, second)]);
    expect(answers.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const winner = await current();
    expect(winner.number).toBe(before.number + 1);
    for (const [source, signature] of [
      [one, first],
      [two, second],
    ] as const) {
      const again = await applySigned(source, signature).catch((error: unknown) => error);
      expect(again).toMatchObject({ code: "conflict" });
    }
    expect(await current()).toMatchObject({ hash: winner.hash });
    await operator.perform(createUser, { body: { name: "Alice" } });
  });
});
