import { afterAll, beforeAll, expect, test } from "vitest";
import { openPolicy } from "../../src/app/open-policy.ts";
import { readEntries } from "../../src/store/ledger-entries.ts";
import { acme, acmeLog, openTestLedger, sequencerOf, type TestLedger } from "../ledger/ledger-fixture.ts";

let ledger: TestLedger;
beforeAll(async () => {
  ledger = await openTestLedger();
});
afterAll(() => ledger.close());

/** Another issuer makes another policy of the one that is shipped. */
async function start(issuer: string): Promise<string> {
  const sequencer = sequencerOf(ledger.db, ledger.memory);
  const onReloadFailed = (error: unknown) => expect.fail(String(error));
  const deps = { db: ledger.db, sequencer, organization: acme, onReloadFailed };
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
