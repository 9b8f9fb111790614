import type { WorkloadPeer } from "./svid-source.ts";

/** Whom a bound counts a process as: its user, since processes are made at will, and its container, since those share users. */
export function boundedAs({ uid, container }: Pick<WorkloadPeer, "uid" | "container">): string {
  return container === undefined ? `${uid}` : `${uid} ${container}`;
}
