import type { NodeStanding } from "./node-source.ts";

/** How a node is, for who asks whether to send workloads to it. */
export interface NodeHealth {
  /** `degraded`: the server is away, and what is held is given out; `unready`: nothing is. */
  readonly status: "ok" | "degraded" | "unready";
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly reason?: string }[];
}

/**
 * Judges how a node is. While the server is there the node has to be known to it and to know its entries, of which there may
 * be none; while it is away, there has to be something left to give out.
 *
 * @param standing undefined while it has not joined
 */
export function nodeHealth(standing: NodeStanding | undefined, nowMs: number): NodeHealth {
  if (standing === undefined) return { status: "unready", checks: [failed("node", "it has not joined yet")] };
  const { serverAwaySinceMs, svidExpiresAtMs, entries, held } = standing;
  const isKnown = nowMs < svidExpiresAtMs;
  const holds = entries !== undefined && held.x509 + held.jwt > 0;
  const isAway = serverAwaySinceMs !== undefined;
  const since = isAway ? new Date(serverAwaySinceMs).toISOString() : "";
  const checks = [
    isAway
      ? failed("server", holds ? `serving from memory since ${since}` : `it does not answer since ${since}`)
      : passed("server"),
    isKnown ? passed("svid") : failed("svid", "the node's own has ended"),
    entries === undefined ? failed("entries", "the server has not told them yet") : passed("entries"),
  ];
  if (isAway) return { status: holds ? "degraded" : "unready", checks };
  return { status: isKnown && entries !== undefined ? "ok" : "unready", checks };
}

function passed(name: string) {
  return { name, ok: true };
}

function failed(name: string, reason: string) {
  return { name, ok: false, reason };
}
