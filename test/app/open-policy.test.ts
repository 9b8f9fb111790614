import { randomBytes } from "node:crypto";
import { newId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openPolicy } from "../../src/app/open-policy.ts";
import { writesOf } from "../../src/journeys/policy/apply.ts";
import type { AppendEntry } from "../../src/ledger/append.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy } from "../../src/policy/snapshot.ts";
import { readEntries } from "../../src/store/ledger-entries.ts";
import { findAppliedPolicy } from "../../src/store/policies.ts";
import { acme, acmeLog, openTestLedger, sequencerOf, type TestLedger } from "../ledger/ledger-fixture.ts";

let ledger: TestLedger;
beforeAll(async () => {
  ledger = await openTestLedger();
});
afterAll(() => ledger.close());

/** Another issuer makes another policy of the one that is shipped. */
async function start(issuer: string, beforeAppend = (_: AppendEntry) => Promise.resolve()): Promise<string> {
  const sequencer = sequencerOf(ledger.db, ledger.memory);
  const onReloadFailed = (error: unknown) => expect.fail(String(error));
  const append: AppendEntry = async (...asked) => {
    await beforeAppend(sequencer.append);
    return sequencer.append(...asked);
  };
  const deps = { db: ledger.db, sequencer: { ...sequencer, append }, organization: acme, onReloadFailed };
  const { currentPolicy, close } = await openPolicy(deps, issuer);
  await Promise.all([close(), sequencer.close()]);
  return currentPolicy(acme).hash;
}

test("each change of the policy in force is recorded once, a return to an earlier one too", async () => {
  const a = await start("https://a.example");
  expect(await start("https://a.example")).toBe(a);
  const b = await start("https://b.example");
  const [again] = await Promise.all(Array.from({ length: 4 }, () => start("https://a.example")));
  expect(again).toBe(a);
  const applied = (await readEntries(ledger.db, acmeLog, 0, 100)).map(({ entry }) => JSON.parse(entry));
  expect(applied.map(({ type, detail }) => [type, detail.policy])).toEqual(
    [a, b, a].map((hash) => ["policy.applied", hash]),
  );
  await ledger.publisher.publishNow(acmeLog);
});

test("what an operator applies while a process starts stays in force, and the process starts", async () => {
  const issuer = "https://c.example";
  const theirs = await loadPolicy({ ...(await readShippedPolicy()), issuer: "https://theirs.example" });
  const last = await findAppliedPolicy(ledger.db, acme, "current");
  const version = {
    organization: acme,
    number: (last?.number ?? 0) + 1,
    hash: theirs.hash,
    source: "theirs",
    appliedBy: newId("operator", Date.now(), randomBytes(16)),
    signature: "signed",
    appliedAtMs: Date.now(),
    twoPerson: false,
    approval: undefined,
  };
  const entry = {
    type: "policy.applied",
    organization: acme,
    actor: { kind: "operator", id: version.appliedBy },
    detail: { policy: theirs.hash },
  } as const;
  const inForce = await start(issuer, async (append) => {
    await append(acmeLog, { entry, writes: writesOf(version, theirs) });
  });
  expect(inForce).toBe(theirs.hash);
  expect(await start(issuer)).toBe(theirs.hash);
  await ledger.publisher.publishNow(acmeLog);
});
