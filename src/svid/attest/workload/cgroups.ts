import { exactText, linesOf, readBounded } from "./read-proc.ts";

/** One hierarchy of control groups, and where in it a process is. */
export interface Cgroup {
  /** `""` for version 2, else what stands there: `name=systemd`, `cpu,cpuacct`. */
  readonly controllers: string;
  /** Absolute. */
  readonly path: string;
}

const bytesMax = 64 * 1024;

/** The control groups of a process. @see cgroups(7) */
export function cgroupsOf(pid: number): readonly Cgroup[] {
  return parseCgroups(readCgroups(pid));
}

/** What the kernel says of the control groups of a process; nothing of one that has ended. */
export function readCgroups(pid: number): string {
  return readBounded(`/proc/${pid}/cgroup`, bytesMax) ?? "";
}

/** Whether one is outside of our own cgroup namespace. @see cgroup_namespaces(7) */
export function areOutOfSight(text: string): boolean {
  return /^\d+:[^:]*:\/\.\.(?:\/|$)/m.test(text);
}

/**
 * Those that can be said exactly: not one that was removed, and not one outside our own cgroup namespace, whose path
 * begins with dots.
 */
export function parseCgroups(text: string): readonly Cgroup[] {
  return linesOf(text).flatMap((line) => {
    // Colons are allowed in the path.
    const [, controllers, bytes] = /^\d+:([^:]*):(\/.*)$/s.exec(line) ?? [];
    const path = exactText(bytes ?? "");
    if (controllers === undefined || path === undefined || path.endsWith(" (deleted)")) return [];
    return path.split("/").includes("..") ? [] : [{ controllers, path }];
  });
}

/**
 * Where systemd, or a container runtime, put the process. Where it is in two hierarchies of that kind, both have to say
 * the same: some runtimes leave one of them at what started them.
 */
export function mainCgroup(cgroups: readonly Cgroup[]): string | undefined {
  const main = cgroups.filter(({ controllers }) => controllers === "" || controllers === "name=systemd");
  const [path, ...others] = new Set(main.map((cgroup) => cgroup.path));
  return others.length === 0 ? path : undefined;
}
