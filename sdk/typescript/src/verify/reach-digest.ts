import { z } from "zod";
import { canonicalJson, type JsonValue } from "../model/canonical-json.ts";
import { emptyFrontier, extendFrontier, frontierRoot } from "../tlog/frontier.ts";
import { leafHash, type Sha256, sha256 } from "../tlog/rfc6962.ts";

/** What a receipt says of the list of what a revocation reached. */
export interface ReachDigest {
  /** Root of the RFC 6962 tree over the items. */
  readonly root: Uint8Array;
  readonly size: number;
  readonly counts: { readonly delegations: number; readonly agents: number };
}

/** Loose: the root covers what a newer version adds, and the counts are of delegations alone. */
const itemSchema = z.looseObject({ kind: z.string(), id: z.string(), agent: z.string().optional() });
const leavesAtOnce = 4096;

/**
 * Reads the list of what a revocation reached, in its order, and keeps no more of it than the hashes on the right edge
 * and the ids of agents.
 *
 * @param items JSON values
 * @param revokedId the node itself, which is listed but not counted
 * @throws ZodError, TypeError for what is no item
 * @see RFC 6962, section 2.1; RFC 8785
 */
export async function digestReach(
  items: AsyncIterable<unknown> | Iterable<unknown>,
  revokedId: string,
  hash: Sha256 = sha256,
): Promise<ReachDigest> {
  const text = new TextEncoder();
  const agents = new Set<string>();
  let frontier = emptyFrontier;
  let leaves: Uint8Array[] = [];
  let delegations = 0;
  for await (const item of items) {
    const { kind, id, agent } = itemSchema.parse(item);
    // Parsed as an object of JSON; what has no canonical form is refused.
    leaves.push(leafHash(text.encode(canonicalJson(item as JsonValue)), hash));
    const concerned = kind === "agent" ? id : agent;
    if (id !== revokedId && concerned !== undefined && concerned !== revokedId) agents.add(concerned);
    if (id !== revokedId && kind === "delegation") delegations++;
    if (leaves.length < leavesAtOnce) continue;
    frontier = extendFrontier(frontier, leaves, hash).frontier;
    leaves = [];
  }
  frontier = extendFrontier(frontier, leaves, hash).frontier;
  const counts = { delegations, agents: agents.size };
  return { root: frontierRoot(frontier, hash), size: frontier.size, counts };
}
