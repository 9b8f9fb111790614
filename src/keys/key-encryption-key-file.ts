import { constants } from "node:fs";
import { link, lstat, mkdir, open, unlink } from "node:fs/promises";
import { join } from "node:path";
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
 * @throws KeysUnusableError when the file is missing and must not be made, is open to other users, or holds no key
 */
export async function openKeyEncryptionKeyFile(
  deps: RandomDeps,
  { dataDir, mayCreate }: KeyFileRequest,
): Promise<KeyEncryptionKey> {
  const directory = join(dataDir, "kek");
  const path = join(directory, "key");
  if (mayCreate) {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await refuseIfOpenToOthers(directory);
    await createIfMissing(deps, directory, path);
  } else if (!(await exists(path))) {
    throw new KeysUnusableError(
      `the key-encryption key ${path} is missing, but the database holds data keys that were wrapped with one: restore the file, or set COUNTERSIGN_KEK to the key that wrapped them`,
    );
  }
  await refuseIfOpenToOthers(directory);
  const secret = parseKeyEncryptionSecret((await readOwnFile(path)).trim());
  if (secret === undefined) throw new KeysUnusableError(`${path} does not hold a key of ${keyBytes} bytes`);
  return keyEncryptionKeyOf(deps, secret);
}

/** Publishes a whole file or none: it is written under a name of its own, and linked only where nothing stands yet. */
async function createIfMissing(deps: RandomDeps, directory: string, path: string): Promise<void> {
  if (await exists(path)) return;
  const draft = `${path}.${Buffer.from(deps.randomBytes(8)).toString("hex")}`;
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(`${Buffer.from(deps.randomBytes(keyBytes)).toString("base64url")}\n`);
    await file.sync();
    await link(draft, path);
  } catch (error) {
    // Another process was first: its key stands.
    if (!hasCode(error, "EEXIST")) throw error;
  } finally {
    await file.close();
    await unlink(draft);
  }
  await syncDirectory(directory);
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function readOwnFile(path: string): Promise<string> {
  // A link would let whoever may write elsewhere choose the key.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((error: unknown) => {
    throw new KeysUnusableError(`the key-encryption key ${path} can't be read`, { cause: error });
  });
  try {
    refuseOthers(path, await file.stat());
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

async function refuseIfOpenToOthers(directory: string): Promise<void> {
  const stats = await lstat(directory);
  if (!stats.isDirectory()) throw new KeysUnusableError(`${directory} is not a directory`);
  refuseOthers(directory, stats);
}

function refuseOthers(path: string, { mode, uid }: { readonly mode: number; readonly uid: number }): void {
  if ((mode & 0o077) !== 0) {
    throw new KeysUnusableError(`${path} is open to other users; take it from them with chmod go= ${path}`);
  }
  if (process.geteuid !== undefined && uid !== process.geteuid()) {
    throw new KeysUnusableError(`${path} belongs to another user than the one this server runs as`);
  }
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    (error: unknown) => {
      if (hasCode(error, "ENOENT")) return false;
      throw error;
    },
  );
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
