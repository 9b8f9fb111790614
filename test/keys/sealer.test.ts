import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { KeyEncryptionKey } from "../../src/keys/key-encryption-key.ts";
import { openKeyEncryptionKey } from "../../src/keys/open-key-encryption-key.ts";
import { openSealer } from "../../src/keys/sealer.ts";
import { listDataKeys } from "../../src/store/data-keys.ts";
import { openTestDatabase, type TestDatabase } from "../harness.ts";
import { aDayMs, aKeyEncryptionKey, createClock } from "./key-fixture.ts";

const plaintext = Buffer.from("what nobody reads from the database alone");

describe("the sealer", () => {
  let database: TestDatabase;
  const clock = createClock();
  let kek: KeyEncryptionKey;
  const open = (key = kek) => openSealer({ db: database.db, kek: key, now: clock.now, randomBytes });

  beforeAll(async () => {
    database = await openTestDatabase();
  });
  afterAll(() => database.close());
  beforeEach(async () => {
    await database.db.prisma.dataKey.deleteMany();
    kek = aKeyEncryptionKey();
  });

  it("makes one data key when several processes start at once", async () => {
    const sealers = await Promise.all(Array.from({ length: 8 }, () => open()));
    expect(await listDataKeys(database.db)).toHaveLength(1);
    const [one, other] = sealers;
    if (one === undefined || other === undefined) throw new Error("there are eight");
    const { dataKeyId, sealed } = one.seal(plaintext, "here");
    expect(Buffer.from(await other.open(dataKeyId, sealed, "here"))).toEqual(plaintext);
  });

  it("opens after a restart what was sealed before", async () => {
    const { dataKeyId, sealed } = (await open()).seal(plaintext, "here");
    expect(Buffer.from(await (await open()).open(dataKeyId, sealed, "here"))).toEqual(plaintext);
  });

  it("opens nothing at another place, with another data key, or with a bit changed", async () => {
    const sealer = await open();
    const { dataKeyId, sealed } = sealer.seal(plaintext, "here");
    await expect(sealer.open(dataKeyId, sealed, "there")).rejects.toThrow();
    await expect(sealer.open("7", sealed, "here")).rejects.toThrow("not in the database");
    for (const place of [0, 11, 12, sealed.length - 1]) {
      const changed = Uint8Array.from(sealed);
      changed[place] = (changed[place] ?? 0) ^ 1;
      await expect(sealer.open(dataKeyId, changed, "here")).rejects.toThrow();
    }
    await expect(sealer.open(dataKeyId, sealed.subarray(0, -1), "here")).rejects.toThrow();
  });

  it("seals the same twice without anyone seeing that it is the same", async () => {
    const sealer = await open();
    expect(sealer.seal(plaintext, "here").sealed).not.toEqual(sealer.seal(plaintext, "here").sealed);
  });

  it("[ISS-001] derives the same in every process, after a restart and with newer data keys too, for each purpose its own", async () => {
    const before = (await open()).derive("one");
    expect(before).toHaveLength(32);
    clock.advance(31 * aDayMs);
    const sealer = await open();
    await sealer.rotateIfDue();
    expect(await listDataKeys(database.db)).toHaveLength(2);
    for (const process of [sealer, await open()]) {
      expect(process.derive("one")).toEqual(before);
      expect(process.derive("two")).not.toEqual(before);
    }
  });

  it("[KEY-004] does not start with another key-encryption key, and leaves the data keys as they are", async () => {
    await open();
    const before = await listDataKeys(database.db);
    await expect(open(aKeyEncryptionKey())).rejects.toThrow(
      /^the key-encryption key is not the one that wrapped data key 1/,
    );
    expect(await listDataKeys(database.db)).toEqual(before);
  });

  it("[KEY-004] does not start when the file of the key-encryption key is lost, and makes no other", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "countersign-kek-"));
    const deps = { db: database.db, randomBytes };
    const request = { secret: undefined, dataDir };
    const { kek: inFile } = await openKeyEncryptionKey(deps, request);
    await open(inFile);
    expect((await openKeyEncryptionKey(deps, request)).kek.id).toBe(inFile.id);
    await rm(join(dataDir, "kek"), { recursive: true });
    await expect(openKeyEncryptionKey(deps, request)).rejects.toThrow(
      /is missing, but the database holds data keys/,
    );
    expect(await readdir(dataDir)).toEqual([]);
    await rm(dataDir, { recursive: true });
  });

  it("does not start when a wrapped data key was tampered with", async () => {
    await open();
    await database.db.prisma.dataKey.update({ where: { id: "1" }, data: { wrapped: randomBytes(60) } });
    await expect(open()).rejects.toThrow(/can't unwrap data key 1/);
  });

  it("seals with a new data key once the newest is old, one for all processes, and still opens what came before", async () => {
    const [one, other] = [await open(), await open()];
    const { dataKeyId, sealed } = one.seal(plaintext, "here");
    await one.rotateIfDue();
    expect(one.seal(plaintext, "here").dataKeyId).toBe("1");
    clock.advance(30 * aDayMs);
    await Promise.all([one.rotateIfDue(), other.rotateIfDue()]);
    expect(await listDataKeys(database.db)).toHaveLength(2);
    expect(one.seal(plaintext, "here").dataKeyId).toBe("2");
    expect(other.seal(plaintext, "here").dataKeyId).toBe("2");
    expect(Buffer.from(await one.open(dataKeyId, sealed, "here"))).toEqual(plaintext);
  });

  it("opens what another process sealed with a data key made since", async () => {
    const [one, other] = [await open(), await open()];
    clock.advance(30 * aDayMs);
    await one.rotateIfDue();
    const { dataKeyId, sealed } = one.seal(plaintext, "here");
    expect(Buffer.from(await other.open(dataKeyId, sealed, "here"))).toEqual(plaintext);
  });
});
