import { constants, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A directory by a name short enough for the address of a Unix socket in it. */
export interface SocketDirectory {
  readonly path: string;
  close(): Promise<void>;
}

// sun_path holds 108 octets on Linux and 104 on macOS, with the final NUL.
const pathBytesMax = 103;

/**
 * Gives `directory` a name that a Unix socket address can hold: its own, or while it is open, a short alias.
 *
 * @param socketName of the socket in it, with its slash; PostgreSQL's unless told
 */
export async function openSocketDirectory(
  directory: string,
  socketName = "/.s.PGSQL.5432",
): Promise<SocketDirectory> {
  if (Buffer.byteLength(directory + socketName) <= pathBytesMax) {
    return { path: directory, close: () => Promise.resolve() };
  }
  if (process.platform === "linux") {
    const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    return { path: `/proc/self/fd/${handle.fd}`, close: () => handle.close() };
  }
  const own = mkdtempSync(join(tmpdir(), "countersign-"));
  const alias = join(own, "s");
  symlinkSync(directory, alias);
  return { path: alias, close: async () => rmSync(own, { recursive: true, force: true }) };
}
