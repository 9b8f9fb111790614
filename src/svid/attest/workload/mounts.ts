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

const bytesMax = 2 * 1024 * 1024;
const parsedMax = 4;

/** What a process sees mounted; nothing when we may not look. */
export type MountsOf = (pid: number | "self") => readonly Mount[];

/** Reads what is mounted, and parses what it has not parsed before: it hardly ever changes, and most see what we see. */
export function createMountsOf(): MountsOf {
  const parsed = new Map<string, readonly Mount[]>();
  return (pid) => {
    const text = readBounded(`/proc/${pid}/mountinfo`, bytesMax) ?? "";
    const mounts = parsed.get(text) ?? parseMounts(text);
    if (!parsed.has(text) && parsed.size >= parsedMax) parsed.clear();
    parsed.set(text, mounts);
    return mounts;
  };
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

/**
 * Whether what a mount has is what its file system's administrator put there: we have the file system too, and it is not
 * served by a process, which may tell each reader something else, or let it wait forever.
 */
export function isServedByKernel(mount: Mount, own: readonly Mount[]): boolean {
  const ours = own.filter(({ device }) => device === mount.device);
  return ours.length > 0 && [mount, ...ours].every(({ type }) => !type.startsWith("fuse"));
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
