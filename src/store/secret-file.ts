import { randomUUID } from "node:crypto";
import { constants, type Stats } from "node:fs";
import { link, lstat, mkdir, open, unlink } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * What a file holds that is this account's own secret, or undefined when there is none. Neither it nor its directory
 * may be a symbolic link, belong to another user, or be open to one: else it could have been read, or chosen, by them.
 *
 * @throws Error in one line that says what to do
 */
export async function readSecretFile(path: string): Promise<string | undefined> {
  return (await isOwnDirectory(dirname(path))) ? await readOwnFile(path) : undefined;
}

/**
 * Makes a secret file, 0600, in a directory of its own, 0700. It appears whole or not at all, and of several processes
 * that make it at once one does.
 *
 * @returns what the file holds now, which is another process's content when that was first
 * @throws Error in one line that says what to do when it, or its directory, is not this account's own
 */
export async function createSecretFile(path: string, content: string): Promise<string> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await isOwnDirectory(directory);
  const draft = `${path}.${randomUUID()}`;
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
    // link, unlike rename, never replaces what another process made meanwhile.
    await link(draft, path);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  } finally {
    await file.close();
    await unlink(draft);
  }
  await syncDirectory(directory);
  const standing = await readSecretFile(path);
  if (standing === undefined) throw new Error(`${path} vanished while it was made; start again`);
  return standing;
}

/**
 * As `readSecretFile`, for a file in a directory that another account may have to enter: looks at the file alone.
 *
 * @throws Error in one line that says what to do
 */
export async function readOwnFile(path: string): Promise<string | undefined> {
  // Without waiting for the other end of a pipe that somebody put there.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch((cause: unknown) => {
    if (hasCode(cause, "ENOENT")) return undefined;
    const reason = hasCode(cause, "ELOOP")
      ? "it is a symbolic link; put the file itself there"
      : "let the account that this server runs as read it";
    throw new Error(`${path} can't be read: ${reason}`, { cause });
  });
  if (file === undefined) return undefined;
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new Error(`${path} is not a file; move it away`);
    refuseOthers(path, stats);
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

/** False when it is missing. @throws Error when it is there, but not for this account alone */
async function isOwnDirectory(path: string): Promise<boolean> {
  const stats = await lstat(path).catch((error: unknown) => {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  });
  if (stats === undefined) return false;
  if (!stats.isDirectory()) throw new Error(`${path} is not a directory; move it away`);
  refuseOthers(path, stats);
  return true;
}

function refuseOthers(path: string, { mode, uid }: Stats): void {
  const self = process.geteuid?.();
  if (self !== undefined && uid !== self) {
    throw new Error(
      `${path} belongs to another user than the one this server runs as; if it is yours, give it back with chown ${self} ${path}, else move it away`,
    );
  }
  if ((mode & 0o077) !== 0) {
    throw new Error(`${path} is open to other users; take it from them with chmod go= ${path}`);
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
