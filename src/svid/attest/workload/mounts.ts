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

/** What a process sees mounted, as it is written; nothing when we may not look. */
export function readMounts(pid: number | "self"): string {
  return readBounded(`/proc/${pid}/mountinfo`, bytesMax) ?? "";
}

/** What we see mounted, parsed again only once it has changed. */
export function createOwnMounts(): () => readonly Mount[] {
  let read = "";
  let parsed: readonly Mount[] = [];
  return () => {
    const text = readMounts("self");
    if (text !== read) parsed = parseMounts(text);
    read = text;
    return parsed;
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

/**
 * Where a file is mounted, of all that a process sees; undefined where it can't see it: in memory, or through another's /proc.
 * Nothing else of what it sees is parsed: it may have mounted thousands.
 */
export function mountOfFd(mounts: string, fd: number): Mount | undefined {
  const label = "mnt_id:\t";
  const line = linesOf(readBounded(`/proc/self/fdinfo/${fd}`, 65_536) ?? "").find((each) =>
    each.startsWith(label),
  );
  const id = line?.slice(label.length);
  const start = mounts.startsWith(`${id} `) ? 0 : mounts.indexOf(`\n${id} `) + 1;
  const end = mounts.indexOf("\n", start);
  const [mount] = parseMounts(mounts.slice(start, end < 0 ? undefined : end));
  return mount?.id === id ? mount : undefined;
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
