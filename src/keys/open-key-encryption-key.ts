import { listDataKeys } from "../store/data-keys.ts";
import type { Database } from "../store/database.ts";
import { type KeyEncryptionKey, keyEncryptionKeyOf, type RandomDeps } from "./key-encryption-key.ts";
import { openKeyEncryptionKeyFile } from "./key-encryption-key-file.ts";

export interface OpenKeyEncryptionKeyDeps extends RandomDeps {
  readonly db: Database;
}

export interface KeyEncryptionKeyRequest {
  /** The 32 bytes of COUNTERSIGN_KEK; undefined: the key lives in a file of the data directory. */
  readonly secret: Uint8Array | undefined;
  readonly dataDir: string;
}

export interface OpenedKeyEncryptionKey {
  readonly kek: KeyEncryptionKey;
  /** Whether it lies in the data directory, which start-up warns of: a copy of both disks is a copy of every key. */
  readonly inFile: boolean;
}

/**
 * The key-encryption key that is configured. Its file is made at the first start only, while there is nothing yet that
 * it would have to open.
 *
 * @throws KeysUnusableError when there is none and none may be made
 */
export async function openKeyEncryptionKey(
  deps: OpenKeyEncryptionKeyDeps,
  { secret, dataDir }: KeyEncryptionKeyRequest,
): Promise<OpenedKeyEncryptionKey> {
  if (secret !== undefined) return { kek: keyEncryptionKeyOf(deps, secret), inFile: false };
  const mayCreate = (await listDataKeys(deps.db)).length === 0;
  return { kek: await openKeyEncryptionKeyFile(deps, { dataDir, mayCreate }), inFile: true };
}
