import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rmdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

/** The data directory can't be used. The message is one line that names it and says what to do; commands exit with 2. */
export class DataDirectoryError extends Error {
  override readonly name = "DataDirectoryError";

  constructor(path: string, problem: string, cause?: unknown) {
    super(`the data directory ${path} ${problem}`, { cause });
  }
}

/**
 * Makes the data directory where it is missing, for this account alone, and refuses one in which another user could
 * put or replace things, or in which this account can make nothing. Others may enter it, for what is served there to
 * them: every secret lies in a directory of its own that only its owner enters.
 *
 * @throws DataDirectoryError
 */
export async function openDataDirectory(path: string): Promise<void> {
  // Not those above it as well: where nothing can be made, as in /proc, Node tries that forever.
  const failure: unknown = await mkdir(path, { mode: 0o700 }).catch((error: unknown) => error);
  const standing = await stat(path).catch(() => undefined);
  if (standing === undefined)
    throw new DataDirectoryError(path, `can't be made: ${whyNotMade(path)}`, failure);
  const { mode, uid } = standing;
  if (!standing.isDirectory())
    throw new DataDirectoryError(path, "is not a directory; move it away, or name another one");
  if ((mode & 0o022) !== 0) {
    throw new DataDirectoryError(
      path,
      `can be written to by other users; take that from them with chmod go-w ${path}, or name a directory that does not exist yet`,
    );
  }
  const self = process.geteuid?.();
  if (self !== undefined && uid !== self && uid !== 0) {
    throw new DataDirectoryError(
      path,
      `belongs to another user (uid ${uid}); run the server as that user, or name another directory`,
    );
  }
  await tryWriting(path);
}

function whyNotMade(path: string): string {
  const parent = dirname(path);
  if (!existsSync(parent)) return `there is no ${parent}; make that first, or name another directory`;
  return `this account can make nothing in ${parent}; name another directory`;
}

/** By doing so: modes don't tell of a file system that is read-only, or is none. */
async function tryWriting(path: string): Promise<void> {
  try {
    await rmdir(await mkdtemp(join(path, "writable-")));
  } catch (error) {
    const problem = "can't be written to by this account; let it, or name another directory";
    throw new DataDirectoryError(path, problem, error);
  }
}
