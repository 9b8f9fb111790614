import { linesOf, readBounded } from "./read-proc.ts";

/** One line of mountinfo; a character for each byte. @see proc_pid_mountinfo(5) */
export interface Mount {
  readonly id: string;
  readonly parent: string;
  /** `major:minor` of the file system, the same in every mount namespace. */
  readonly device: string;
  /** Which directory of the file system is mounted. */
  readonly root: string;
  readonly mountPoint: string;
  readonly type: string;
}

const bytesMax = 8 * 1024 * 1024;
const parsed = new Map<string, readonly Mount[]>();
const parsedMax = 4;

/** What a process sees mounted; nothing when we may not look. */
export function mountsOf(pid: number | "self"): readonly Mount[] {
  const text = readBounded(`/proc/${pid}/mountinfo`, bytesMax) ?? "";
  // It hardly ever changes, and most processes see what we see.
  const mounts = parsed.get(text) ?? parseMounts(text);
  if (!parsed.has(text) && parsed.size >= parsedMax) parsed.clear();
  parsed.set(text, mounts);
  return mounts;
}

export function parseMounts(text: string): readonly Mount[] {
  return linesOf(text).flatMap((line) => {
    const fields = line.split(" ");
    const [id, parent, device, root, mountPoint] = fields;
    const type = fields[fields.indexOf("-", 6) + 1];
    if (mountPoint === undefined || type === undefined) return [];
    return [{ id, parent, device, root: unescaped(root), mountPoint: unescaped(mountPoint), type } as Mount];
  });
}

/** Which mount a path leads into; undefined where that is not certain. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  const around = mounts.filter(({ mountPoint }) => contains(mountPoint, path));
  const longest = Math.max(...around.map(({ mountPoint }) => mountPoint.length));
  const stacked = around.filter(({ mountPoint }) => mountPoint.length === longest);
  const [top, ...others] = stacked.filter(({ id }) => !stacked.some(({ parent }) => parent === id));
  return others.length === 0 ? top : undefined;
}

function contains(directory: string, path: string): boolean {
  return path.startsWith(directory === "/" ? "/" : `${directory}/`);
}

function unescaped(field: string | undefined): string {
  return (field ?? "").replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(parseInt(octal, 8)),
  );
}
