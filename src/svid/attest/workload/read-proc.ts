import { closeSync, openSync, readSync } from "node:fs";

const unreadable = ["ENOENT", "ESRCH", "EACCES", "EPERM"];

/** Whether an error says that a process has ended, has no such thing, or is none of ours to look into. */
export function isUnreadable(error: unknown): boolean {
  return error instanceof Error && "code" in error && unreadable.includes(String(error.code));
}

/**
 * A file that the kernel or the administrator writes, a character for each byte; undefined when it can't be read, and for
 * one of more bytes than that: half of it might say something else. It is read at once, as /proc never waits for a disk.
 */
export function readBounded(path: string, bytesMax: number): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    if (isUnreadable(error)) return undefined;
    throw error;
  }
  try {
    const chunks: Buffer[] = [];
    for (let bytes = 0; bytes <= bytesMax; ) {
      const chunk = Buffer.allocUnsafe(Math.min(bytesMax + 1, 16_384));
      const length = readSync(fd, chunk);
      if (length === 0) return Buffer.concat(chunks).toString("latin1");
      chunks.push(chunk.subarray(0, length));
      bytes += length;
    }
    return undefined;
  } catch (error) {
    if (isUnreadable(error)) return undefined;
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** Lines end with a line feed and nothing else: the names that processes give themselves may hold the other separators. */
export function linesOf(text: string): readonly string[] {
  return text.split("\n").filter((line) => line !== "");
}

/** What these bytes are in UTF-8; undefined where they are not UTF-8, as two of that kind would look the same. */
export function exactText(bytes: string): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(bytes, "latin1"));
  } catch {
    return undefined;
  }
}
