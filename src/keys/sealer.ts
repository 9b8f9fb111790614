import { createSecretKey, hkdfSync, type KeyObject } from "node:crypto";
import { insertDataKey, listDataKeys, type WrappedDataKey } from "../store/data-keys.ts";
import type { Database } from "../store/database.ts";
import { decrypt, encrypt, keyBytes, nonceBytes } from "./aes-gcm.ts";
import type { KeyEncryptionKey, RandomDeps } from "./key-encryption-key.ts";
import { KeysUnusableError } from "./keys-unusable-error.ts";

export interface SealerDeps extends RandomDeps {
  readonly db: Database;
  readonly kek: KeyEncryptionKey;
  readonly now: () => number;
}

export interface Sealed {
  readonly dataKeyId: string;
  /** nonce, ciphertext and tag */
  readonly sealed: Uint8Array;
}

/** Encrypts what must not be read from the database alone. */
export interface Sealer {
  /**
   * Seals with the newest data key.
   *
   * @param context names the place it is sealed for; it opens at no other
   */
  readonly seal: (plaintext: Uint8Array, context: string) => Sealed;
  /** @throws Error when the data key is unknown, or the sealed bytes or their context are not the ones sealed */
  readonly open: (dataKeyId: string, sealed: Uint8Array, context: string) => Promise<Uint8Array>;
  /**
   * 32 bytes that every process on this database derives alike, after a restart as well, and nobody from the database alone.
   *
   * @param purpose each has bytes of its own
   * @see RFC 5869
   */
  readonly derive: (purpose: string) => Uint8Array;
  /** Makes a new data key when the newest has sealed enough or is old; to be called every hour. */
  readonly rotateIfDue: () => Promise<void>;
}

/**
 * Random 96-bit nonces stay distinct, but for one chance in 2^32, over 2^32 seals of one key (NIST SP 800-38D, 8.3).
 * Each process counts its own seals and starts anew when it restarts, hence the wide margins.
 */
const sealsMax = 2 ** 32;
const sealsDue = 2 ** 27;
const ageDueMs = 30 * 24 * 60 * 60_000;

interface DataKey {
  readonly number: number;
  readonly key: KeyObject;
  readonly createdAtMs: number;
  seals: number;
}

/**
 * Opens every data key, and makes the first when there is none. Of several processes that start at once, one makes it
 * and all use it.
 *
 * @throws KeysUnusableError when the key-encryption key is not the one that wrapped the data keys
 */
export async function openSealer(deps: SealerDeps): Promise<Sealer> {
  const keys = new Map<string, DataKey>();
  let newest = await load();

  async function load(): Promise<DataKey> {
    let rows = await listDataKeys(deps.db);
    if (rows.length === 0) {
      await createDataKey(deps, 1);
      rows = await listDataKeys(deps.db);
    }
    for (const row of rows) {
      const id = String(row.number);
      if (!keys.has(id)) keys.set(id, await unwrap(deps.kek, row));
    }
    return [...keys.values()].reduce((one, other) => (one.number > other.number ? one : other));
  }

  function seal(plaintext: Uint8Array, context: string): Sealed {
    // Past the limit nonces may repeat, and a repeated nonce gives the plaintexts away.
    if (newest.seals >= sealsMax) throw new Error(`data key ${newest.number} has sealed all it may`);
    newest.seals++;
    const sealed = encrypt(newest.key, deps.randomBytes(nonceBytes), plaintext, context);
    return { dataKeyId: String(newest.number), sealed };
  }

  async function open(dataKeyId: string, sealed: Uint8Array, context: string): Promise<Uint8Array> {
    // Another process may have made it since.
    if (!keys.has(dataKeyId)) newest = await load();
    const dataKey = keys.get(dataKeyId);
    if (dataKey === undefined) throw new Error("it was sealed with a data key that is not in the database");
    return decrypt(dataKey.key, sealed, context);
  }

  function derive(purpose: string): Uint8Array {
    // The oldest stays when a new one is made, so that all processes derive from one and the same.
    const oldest = [...keys.values()].reduce((one, other) => (one.number < other.number ? one : other));
    return new Uint8Array(hkdfSync("sha256", oldest.key, "", `countersign ${purpose}`, keyBytes));
  }

  async function rotateIfDue(): Promise<void> {
    newest = await load();
    if (newest.seals < sealsDue && deps.now() - newest.createdAtMs < ageDueMs) return;
    await createDataKey(deps, newest.number + 1);
    newest = await load();
  }

  return { seal, open, derive, rotateIfDue };
}

/** Makes the data key of this number, unless another process did. */
async function createDataKey({ db, kek, now, randomBytes }: SealerDeps, number: number): Promise<void> {
  const wrapped = await kek.wrap(randomBytes(keyBytes));
  await insertDataKey(db, { number, kekId: kek.id, wrapped, createdAt: new Date(now()) });
}

async function unwrap(
  kek: KeyEncryptionKey,
  { number, kekId, wrapped, createdAt }: WrappedDataKey,
): Promise<DataKey> {
  if (kekId !== kek.id) {
    throw new KeysUnusableError(
      `the key-encryption key is not the one that wrapped data key ${number}: this is ${kek.id}, that was ${kekId}; give the one that wrapped it (COUNTERSIGN_KEK, or the file kek/key in the data directory)`,
    );
  }
  const secret = await kek.unwrap(wrapped).catch((error: unknown) => {
    throw new KeysUnusableError(`the key-encryption key ${kek.id} can't unwrap data key ${number}`, {
      cause: error,
    });
  });
  return { number, key: createSecretKey(secret), createdAtMs: createdAt.getTime(), seals: 0 };
}
