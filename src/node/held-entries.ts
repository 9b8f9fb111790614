import { type NodeEntryWire, nodeEntriesSchema } from "@countersign/sdk/contract/node-face";
import type { OrganizationId } from "@countersign/sdk/model/ids";
import type { Selector } from "@countersign/sdk/model/selector";
import { parseSelector } from "@countersign/sdk/model/selector";
import {
  parseSpiffeId,
  parseTrustDomain,
  principalOf,
  type TrustDomain,
} from "@countersign/sdk/model/spiffe-id";
import { type CostlyKind, createEntryIndex } from "../domain/entry-index.ts";
import type { SvidEntry } from "../domain/svid-holder.ts";
import type { SvidSource } from "../domain/svid-source.ts";
import type { ServerConnection } from "./server-connection.ts";

/** An entry of this node. */
export interface HeldEntry extends SvidEntry {
  readonly selectors: readonly Selector[];
  /** Undefined once a change of it was told of, and acted upon, until the server is asked what it is now. */
  standing: string | undefined;
}

/** The entries of this node, in memory: what they say is read again by every commit that issues on one. */
export interface HeldEntries {
  readonly match: (workload: readonly Selector[]) => readonly HeldEntry[];
  /**
   * Asks for what changed, or for everything.
   *
   * @returns ids of what is to be issued anew: entries that changed or ended, and agents that were stopped or go on
   * @throws RefusedError, UnreachableError
   */
  readonly sync: (what: "changes" | "everything") => Promise<ReadonlySet<string>>;
  /** That these changed is known, and no news when they are asked for. */
  readonly touch: (ids: readonly string[]) => void;
  readonly clear: () => ReadonlySet<string>;
  /** How many there are; undefined while nothing is known. */
  readonly count: () => number | undefined;
  /** Those that an entry has asked for since we started. */
  readonly wantedKinds: SvidSource["wantedKinds"];
}

/** None are known yet. */
export function createHeldEntries(
  connection: Pick<ServerConnection, "get">,
  trustDomain: TrustDomain,
): HeldEntries {
  let entries = new Map<string, HeldEntry>();
  let index = createEntryIndex<HeldEntry>([]);
  let asOf: number | undefined;
  const wanted = new Set<CostlyKind>();

  async function read(since: number | undefined) {
    const found = new Map<string, HeldEntry>();
    const ended = new Set<string>();
    let first: number | undefined;
    let cursor: string | undefined;
    do {
      const query = new URLSearchParams({
        ...(since !== undefined && { since: String(since) }),
        ...(cursor !== undefined && { cursor }),
      });
      const page = await connection.get(`/v1/node/entries?${query}`, nodeEntriesSchema);
      for (const item of page.items) {
        const entry = entryOf(trustDomain, item);
        if (entry !== undefined) found.set(entry.id, entry);
      }
      for (const id of page.ended) ended.add(id);
      // What changes while the pages are read is of a later index than the first page's.
      first ??= page.as_of;
      cursor = page.next;
    } while (cursor !== undefined);
    return { found, ended, asOf: first };
  }

  return {
    match: (workload) => index.match(workload),
    count: () => (asOf === undefined ? undefined : entries.size),
    async sync(what) {
      const since = what === "everything" ? undefined : asOf;
      const { found, ended, asOf: readAsOf } = await read(since);
      const next = since === undefined ? found : new Map([...entries, ...found]);
      for (const id of ended) next.delete(id);
      const changed = changesBetween(entries, next);
      entries = next;
      index = createEntryIndex(next.values());
      for (const kind of index.costlyKinds) wanted.add(kind);
      asOf = readAsOf;
      return changed;
    },
    touch(ids) {
      for (const entry of entries.values()) if (ids.includes(entry.agent)) entry.standing = undefined;
    },
    clear() {
      const gone = changesBetween(entries, new Map());
      entries = new Map();
      index = createEntryIndex<HeldEntry>([]);
      asOf = undefined;
      return gone;
    },
    wantedKinds: () => wanted,
  };
}

function changesBetween(
  before: ReadonlyMap<string, HeldEntry>,
  after: ReadonlyMap<string, HeldEntry>,
): ReadonlySet<string> {
  const changed = new Set<string>();
  for (const { id, agent, standing } of before.values()) {
    const now = after.get(id);
    if (now === undefined) changed.add(id);
    else if (standing !== undefined && now.standing !== standing) changed.add(agent);
  }
  return changed;
}

/** An entry as the server tells of it; none where it can't be one of this trust domain's agents. */
function entryOf(trustDomain: TrustDomain, wire: NodeEntryWire): HeldEntry | undefined {
  const spiffeId = parseSpiffeId(wire.spiffe_id);
  const principal = spiffeId && principalOf(trustDomain, spiffeId);
  if (spiffeId === undefined || principal?.kind !== "agent") return undefined;
  const organization: OrganizationId = principal.organization;
  const selectors = wire.selectors.map(parseSelector);
  // With one selector less it would match more.
  if (selectors.length === 0 || !selectors.every((selector) => selector !== undefined)) return undefined;
  return {
    id: wire.id,
    organization,
    agent: wire.agent,
    spiffeId,
    x509TtlSeconds: wire.x509_ttl_seconds,
    jwtTtlSeconds: wire.jwt_ttl_seconds,
    dnsNames: wire.dns_names,
    hint: wire.hint,
    federatesWith: wire.federates_with.flatMap((name) => parseTrustDomain(name) ?? []),
    selectors,
    standing: wire.standing,
  };
}
