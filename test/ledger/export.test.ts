import { hash } from "node:crypto";
import { verifyExport } from "@countersign/sdk/tlog/export";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readEntries } from "../../src/store/ledger-entries.ts";
import { acme, acmeLog, entryBody, openTestLedger, stream, type TestLedger } from "./ledger-fixture.ts";

let ledger: TestLedger;
beforeEach(async () => {
  ledger = await openTestLedger();
});
afterEach(() => ledger.close());

const policyText = "p, default, agent, *";
const policy = hash("sha256", policyText, "base64url");

describe("an export of a log", () => {
  test("verifies offline, whatever the log's size", async () => {
    for (const more of [0, 1, 254, 1, 1, 300]) {
      await ledger.grow(more);
      expect(await ledger.verify()).toMatchObject({ ok: true, keys: "given" });
    }
    expect(await ledger.verify()).toMatchObject({ ok: true, size: 557 });
  });

  test("carries the policies that decided and the decisions' inputs, unless they were erased", async () => {
    const inputs = ["first", "second", "erased"].map((name) => `{"name":"${name}"}`);
    for (const [i, text] of inputs.entries()) {
      const input = hash("sha256", text, "base64url");
      const row = {
        hash: input,
        organization_id: acme,
        sealed: Buffer.from(text).toString("base64"),
        data_key_id: "1",
        created_at: new Date(),
      };
      await ledger.append(acmeLog, {
        entry: { ...entryBody(i), decision: { effect: "allow", rule: "p1", reason: "test", policy, input } },
        writes: [
          { into: "policy_version", row: { hash: policy, text: policyText, created_at: new Date() } },
          { into: "decision_input", row },
        ],
      });
      if (i === 2) await ledger.db.prisma.decisionInput.delete({ where: { hash: input } });
    }
    await ledger.grow(5);
    expect(await ledger.verify()).toMatchObject({ ok: true, policies: 1, inputs: { opened: 2, erased: 1 } });
    await ledger.db.prisma.policyVersion.updateMany({ data: { text: "p, all" } });
    expect(await ledger.verify()).toMatchObject({ ok: false, problem: { code: "bad_policy", index: 0 } });
    await ledger.db.prisma.policyVersion.deleteMany();
    expect(await ledger.verify()).toMatchObject({ ok: false, problem: { code: "bad_policy", index: 0 } });
  });

  test("is of one point in time while the log goes on", async () => {
    await ledger.grow(300);
    const vkeys = (ledger.keys.get(acmeLog) ?? []).map(({ vkey }) => vkey);
    const [lines] = await Promise.all([ledger.exportLines(), ledger.grow(200), ledger.grow(100)]);
    const verdict = await verifyExport(stream(lines), { vkeys });
    expect(verdict).toMatchObject({ ok: true });
  });

  test("of a log without a checkpoint is refused", async () => {
    await ledger.db.prisma.log.updateMany({ data: { checkpoint: null } });
    await expect(ledger.exportLines()).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("an export shows what was changed in the database:", () => {
  const change = async (sql: string) => {
    await ledger.grow(600);
    expect(await ledger.db.prisma.$executeRawUnsafe(sql)).toBeGreaterThan(0);
    return ledger.verify();
  };

  test.each([0, 255, 256, 300, 599])("an entry that says something else, at index %i", async (index) => {
    const verdict = await change(
      `UPDATE ledger_entry SET entry = replace(entry, '"test"', '"tesT"') WHERE log_id = 'acme' AND index = ${index}`,
    );
    expect(verdict).toMatchObject({ ok: false, problem: { code: "entry_altered", index } });
  });

  test("an entry with one octet of any kind changed", async () => {
    await ledger.grow(80);
    const [original] = await readEntries(ledger.db, acmeLog, 77, 78);
    const text = original?.entry ?? "";
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === "a" ? "b" : "a";
      const entry = text.slice(0, at) + other + text.slice(at + 1);
      await ledger.db.prisma.ledgerEntry.updateMany({
        where: { logId: acmeLog, index: 77n },
        data: { entry },
      });
      expect(await ledger.verify()).toMatchObject({ ok: false, problem: { index: 77 } });
    }
  });

  test("an entry that is gone", async () => {
    const verdict = await change("DELETE FROM ledger_entry WHERE log_id = 'acme' AND index = 300");
    expect(verdict).toMatchObject({ ok: false, problem: { code: "entry_missing", index: 300 } });
  });

  test("entries that changed places", async () => {
    const verdict = await change(
      `UPDATE ledger_entry e SET entry = o.entry, leaf_hash = o.leaf_hash FROM ledger_entry o
       WHERE e.log_id = 'acme' AND o.log_id = 'acme' AND e.index IN (400, 401) AND o.index = 801 - e.index`,
    );
    expect(verdict).toMatchObject({ ok: false, problem: { code: "entry_altered", index: 400 } });
  });

  test("a leaf hash on the right edge", async () => {
    const verdict = await change(
      "UPDATE ledger_entry SET leaf_hash = sha256('x') WHERE log_id = 'acme' AND index = 550",
    );
    expect(verdict).toMatchObject({
      ok: false,
      problem: { code: "tile_altered", index: 550, tile: { level: 0, index: 2 } },
    });
  });

  test.each([0, 31, 4000, 8191])("a tile, in octet %i", async (octet) => {
    const verdict = await change(
      `UPDATE tile SET hashes = set_byte(hashes, ${octet}, 1 # get_byte(hashes, ${octet})) WHERE log_id = 'acme' AND index = 1`,
    );
    const index = 256 + Math.floor(octet / 32);
    expect(verdict).toMatchObject({
      ok: false,
      problem: { code: "tile_altered", index, tile: { level: 0, index: 1 } },
    });
  });

  test("a tile that is too short, or gone", async () => {
    const short = await change(
      "UPDATE tile SET hashes = substr(hashes, 1, 8160) WHERE log_id = 'acme' AND index = 0",
    );
    expect(short).toMatchObject({
      ok: false,
      problem: { code: "tile_altered", index: 255, tile: { level: 0, index: 0 } },
    });
    await ledger.db.prisma.tile.deleteMany({ where: { index: 0n } });
    expect(await ledger.verify()).toMatchObject({
      ok: false,
      problem: { code: "tile_missing", tile: { level: 0, index: 0 } },
    });
  });

  test("a tile's root", async () => {
    const verdict = await change("UPDATE tile SET root = sha256('x') WHERE log_id = 'acme' AND index = 1");
    expect(verdict).toMatchObject({
      ok: false,
      problem: { code: "tile_mismatch", index: 256, tile: { level: 1, index: 0 } },
    });
  });

  test("the checkpoint, in any octet", async () => {
    await ledger.grow(10);
    const log = await ledger.db.prisma.log.findUniqueOrThrow({ where: { id: acmeLog } });
    const note = log.checkpoint ?? "";
    for (let at = 0; at < note.length; at++) {
      const other = note[at] === "A" ? "B" : "A";
      const checkpoint = note.slice(0, at) + other + note.slice(at + 1);
      await ledger.db.prisma.log.update({ where: { id: acmeLog }, data: { checkpoint } });
      const verdict = await ledger.verify().catch((error: unknown) => ({ ok: false, error }));
      expect(verdict.ok).toBe(false);
    }
  });

  test("entries and tiles rewritten together", async () => {
    await ledger.grow(5);
    const [third] = await readEntries(ledger.db, acmeLog, 3, 4);
    const entry = third?.entry.replace('"test"', '"tesT"') ?? "";
    await ledger.db.prisma.$executeRaw`
      UPDATE ledger_entry SET entry = ${entry}, leaf_hash = sha256(decode('00', 'hex') || convert_to(${entry}, 'UTF8'))
      WHERE log_id = 'acme' AND index = 3`;
    expect(await ledger.verify()).toMatchObject({ ok: false, problem: { code: "root_mismatch" } });
  });
});
