import { mkdir, stat } from "node:fs/promises";

/**
 * Makes the data directory where it is missing, for this account alone, and refuses one in which another user could
 * put or replace things. Others may enter it, for what is served there to them: every secret lies in a directory of
 * its own that only its owner enters.
 *
 * @throws Error in one line that says what to do
 */
export async function openDataDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const { mode, uid } = await stat(path);
  if ((mode & 0o022) !== 0) {
    throw new Error(
      `the data directory ${path} can be written to by other users; take that from them with chmod go-w ${path}, or name a directory that does not exist yet`,
    );
  }
  const self = process.geteuid?.();
  if (self !== undefined && uid !== self && uid !== 0) {
    throw new Error(
      `the data directory ${path} belongs to another user (uid ${uid}); run the server as that user, or name another directory`,
    );
  }
}
