import { join } from "node:path";
import { createSecretFile, readSecretFile } from "../store/secret-file.ts";
import { keyBytes } from "./aes-gcm.ts";
import {
  type KeyEncryptionKey,
  keyEncryptionKeyOf,
  parseKeyEncryptionSecret,
  type RandomDeps,
} from "./key-encryption-key.ts";
import { KeysUnusableError } from "./keys-unusable-error.ts";

export interface KeyFileRequest {
  readonly dataDir: string;
  /**
   * Whether a missing file may be made. Only where no data key exists yet: afterwards a new key would open nothing,
   * and would hide that the old one is lost.
   */
  readonly mayCreate: boolean;
}

/**
 * The key-encryption key kept in `<dataDir>/kek/key`, as base64url on one line. Whoever reads the file and the
 * database has every key, so the caller warns that it is in use. Of several processes that start at once, one makes
 * the key and all use it.
 *
 * @throws KeysUnusableError when the file is missing and must not be made, or holds no key; Error in one line when it is
 *   not this account's alone
 */
export async function openKeyEncryptionKeyFile(
  deps: RandomDeps,
  { dataDir, mayCreate }: KeyFileRequest,
): Promise<KeyEncryptionKey> {
  const path = join(dataDir, "kek", "key");
  const text =
    (await readSecretFile(path)) ?? (mayCreate ? await createSecretFile(path, newKey(deps)) : undefined);
  if (text === undefined) {
    throw new KeysUnusableError(
      `the key-encryption key ${path} is missing, but the database holds data keys that were wrapped with one: restore the file, or set COUNTERSIGN_KEK to the key that wrapped them`,
    );
  }
  const secret = parseKeyEncryptionSecret(text.trim());
  if (secret === undefined) throw new KeysUnusableError(`${path} does not hold a key of ${keyBytes} bytes`);
  return keyEncryptionKeyOf(deps, secret);
}

function newKey({ randomBytes }: RandomDeps): string {
  return `${Buffer.from(randomBytes(keyBytes)).toString("base64url")}\n`;
}
