import { createPublicKey, verify as verifySignature } from "node:crypto";
import { inspect } from "node:util";
import { systemLog } from "@countersign/sdk/model/ids";
import { formatNote, parseNote, verifyNote } from "@countersign/sdk/tlog/note";
import { parseVerifierKey } from "@countersign/sdk/tlog/vkey";
import { calculateJwkThumbprint } from "jose";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { listKeys } from "../../src/journeys/keys/list.ts";
import { rotateKeys } from "../../src/journeys/keys/rotate.ts";
import { openKeyRing } from "../../src/keys/key-ring.ts";
import { overlapMs } from "../../src/keys/key-snapshot.ts";
import { newSigningKey } from "../../src/keys/signing-key.ts";
import {
  aDayMs,
  aLog,
  createFirstKeys,
  type Installation,
  openInstallation,
  originOf,
  privateScalars,
  type Replica,
  theSystem,
} from "./key-fixture.ts";

describe("the key ring", () => {
  let installation: Installation;
  let replica: Replica;
  beforeEach(async () => {
    installation = await openInstallation();
    replica = await installation.openReplica();
  });
  afterEach(() => installation.close());

  const publishedKids = ({ ring }: Replica) => ring.tokenKeys().published.map(({ kid }) => kid);
  const rotate = (purpose: "token" | "log") => rotateKeys(replica.deps, { purpose, by: theSystem });

  it("says that there is no key rather than answering with none", () => {
    expect(() => replica.ring.tokenKeys()).toThrow("there is no token key yet");
    expect(() => replica.ring.logSigners(aLog)).toThrow("log default has no key yet");
  });

  it("publishes the active and the next token key, public halves only, each under its thumbprint", async () => {
    await createFirstKeys(replica);
    const { active, published } = replica.ring.tokenKeys();
    expect(published).toHaveLength(2);
    expect(published[0]).toEqual(active.publicJwk);
    for (const jwk of published) {
      expect(Object.keys(jwk).sort()).toEqual(["alg", "crv", "kid", "kty", "use", "x", "y"]);
      expect(jwk.kid).toBe(await calculateJwkThumbprint(jwk));
    }
  });

  it("[KEY-001] publishes a key before it signs, and for the overlap after it has signed", async () => {
    await createFirstKeys(replica);
    const [first, second] = publishedKids(replica);
    await rotate("token");
    const [active, third, ...retired] = publishedKids(replica);
    expect(active).toBe(second);
    expect(replica.ring.tokenKeys().active.kid).toBe(second);
    expect(retired).toEqual([first]);

    installation.clock.advance(overlapMs.token - 1);
    await replica.ring.reload();
    expect(publishedKids(replica)).toEqual([second, third, first]);

    installation.clock.advance(1);
    await replica.ring.reload();
    expect(publishedKids(replica)).toEqual([second, third]);
  });

  it("tells its listeners of each change, and of nothing else", async () => {
    await createFirstKeys(replica);
    const listener = vi.fn();
    const stop = replica.ring.onChange(listener);
    await replica.ring.reload();
    expect(listener).not.toHaveBeenCalled();
    await rotate("token");
    expect(listener).toHaveBeenCalledTimes(1);
    installation.clock.advance(overlapMs.token);
    await replica.ring.reload();
    expect(listener).toHaveBeenCalledTimes(2);
    stop();
    await rotate("token");
    expect(listener).toHaveBeenCalledTimes(2);
  });

  it("hears of a rotation by another process", async () => {
    await createFirstKeys(replica);
    const other = await installation.openReplica();
    const changed = new Promise<void>((resolve) => other.ring.onChange(resolve));
    await rotate("token");
    await changed;
    expect(publishedKids(other)).toEqual(publishedKids(replica));
  });

  it("signs ES256 as any verifier expects it, whatever the lengths of r and s", async () => {
    await createFirstKeys(replica);
    const { active } = replica.ring.tokenKeys();
    const key = createPublicKey({ key: { ...active.publicJwk }, format: "jwk" });
    // One in 256 has a leading zero to restore; 2,000 meet several of each length.
    for (let i = 0; i < 2_000; i++) {
      const message = Buffer.from(`message ${i}`);
      const signature = active.sign(message);
      expect(signature).toHaveLength(64);
      expect(verifySignature("sha256", message, { key, dsaEncoding: "ieee-p1363" }, signature)).toBe(true);
    }
  });

  it("[KEY-003] gives nobody a private key, not even who asks", async () => {
    await createFirstKeys(replica);
    const { active, published } = replica.ring.tokenKeys();
    expect(Reflect.ownKeys(active).sort()).toEqual(["kid", "publicJwk", "sign"]);
    for (const jwk of published) expect(jwk).not.toHaveProperty("d");
  });

  it("[KEY-003] shows no private key when printed, serialised or spread", async () => {
    await createFirstKeys(replica);
    const tokenKeys = replica.ring.tokenKeys();
    const signers = replica.ring.logSigners(aLog);
    const shown = [
      inspect([tokenKeys, signers], { depth: 9, showHidden: true }),
      JSON.stringify([tokenKeys, signers, { ...tokenKeys.active }, await listKeys(replica.deps)]),
    ].join();
    for (const scalar of await privateScalars(replica)) expect(shown).not.toContain(scalar);
    expect(shown).not.toMatch(/"?\bd"?:|sealed/);
  });

  it("[KEY-003] keeps no private key readable in the database", async () => {
    await createFirstKeys(replica);
    const rows = await replica.db.prisma.signingKey.findMany();
    for (const scalar of await privateScalars(replica)) {
      expect(JSON.stringify(rows)).not.toContain(scalar);
      const octets = Buffer.from(scalar, "base64url");
      expect(rows.some(({ sealed }) => Buffer.from(sealed).includes(octets))).toBe(false);
    }
  });

  it("signs a log's checkpoints with its own key, as C2SP signed-note has it", async () => {
    await createFirstKeys(replica);
    const [signer] = replica.ring.logSigners(aLog);
    if (signer === undefined) throw new Error("the log has a key");
    const text = `${originOf(aLog)}\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n`;
    const signature = { name: signer.origin, keyId: signer.keyId, signature: signer.sign(Buffer.from(text)) };
    const note = parseNote(formatNote({ text, signatures: [signature] }));
    const vkeys = [parseVerifierKey(signer.vkey)].filter((key) => key !== undefined);
    if (note === undefined) throw new Error("it is a note");
    expect(await verifyNote(note, vkeys)).toHaveLength(1);
    expect(replica.ring.logSigners(systemLog).map(({ kid }) => kid)).not.toContain(signer.kid);
  });

  it("[KEY-005] has the old and the new log key sign during the overlap, and then the new one only", async () => {
    await createFirstKeys(replica);
    const [old] = replica.ring.logSigners(aLog);
    await rotate("log");
    const [active, ...beside] = replica.ring.logSigners(aLog);
    expect(beside.map(({ kid }) => kid)).toEqual([old?.kid]);
    expect(active?.kid).not.toBe(old?.kid);
    expect(active?.origin).toBe(old?.origin);
    installation.clock.advance(overlapMs.log);
    await replica.ring.reload();
    expect(replica.ring.logSigners(aLog).map(({ kid }) => kid)).toEqual([active?.kid]);
  });

  it("neither uses nor publishes a key that was planted in the database", async () => {
    await createFirstKeys(replica);
    const { deps, db, ring } = replica;
    const before = publishedKids(replica);
    const planted = await newSigningKey(deps, { purpose: "token" }, "next");
    const { id, sealed } = planted;
    // What is sealed for one id does not open for another, nor what another installation sealed.
    const changed = { id: `${id}x`, sealed: Buffer.from(sealed, "base64") };
    await db.prisma.signingKey.updateMany({ where: { status: "next", purpose: "token" }, data: changed });
    await expect(ring.reload()).rejects.toThrow(`signing key ${changed.id} can't be opened`);
    expect(publishedKids(replica)).toEqual(before);
  });

  it("[KEY-005] refuses a log's key that was moved to another log", async () => {
    await createFirstKeys(replica);
    const { db, ring } = replica;
    await db.prisma.signingKey.updateMany({
      where: { logId: systemLog },
      data: { status: "retired", retiredAt: new Date(installation.clock.now()) },
    });
    await db.prisma.signingKey.updateMany({ where: { logId: systemLog }, data: { logId: aLog } });
    await expect(ring.reload()).rejects.toThrow("can't be opened");
  });

  it("keeps the keys it knows while the database can't be read, and tells of it", async () => {
    await createFirstKeys(replica);
    const failing = {
      ...replica.db,
      listen: async () => async () => undefined,
    };
    const ring = await openKeyRing({ ...replica.deps, db: failing, onReloadFailed: () => undefined });
    const before = ring.tokenKeys().active.kid;
    await replica.db.prisma.$executeRaw`ALTER TABLE signing_key RENAME TO signing_key_gone`;
    await expect(ring.reload()).rejects.toThrow();
    expect(ring.tokenKeys().active.kid).toBe(before);
    await replica.db.prisma.$executeRaw`ALTER TABLE signing_key_gone RENAME TO signing_key`;
    await ring.reload();
    await ring.close();
  });

  it("lists every key there ever was, with what verifies it", async () => {
    await createFirstKeys(replica);
    await rotate("token");
    await rotate("log");
    installation.clock.advance(400 * aDayMs);
    const keys = await listKeys(replica.deps);
    const count = (purpose: string, status: string) =>
      keys.filter((key) => key.purpose === purpose && key.status === status).length;
    expect([count("token", "next"), count("token", "active"), count("token", "retired")]).toEqual([1, 1, 1]);
    expect([count("log", "active"), count("log", "retired")]).toEqual([2, 2]);
    for (const key of keys) {
      expect(key.vkey === undefined).toBe(key.purpose !== "log");
      expect(key.retiredAt === null).toBe(key.status !== "retired");
      expect(key.activatedAt === null).toBe(key.status === "next");
    }
  });
});
