import type { AgentChecksum } from "@countersign/sdk/model/agent-configuration";
import type { ErrorCode } from "@countersign/sdk/model/error-codes";
import type { AgentId, EntryId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Selector } from "@countersign/sdk/model/selector";
import type { SpiffeId, TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { approvalId } from "./agent-checksum.ts";
import { boundsJwtSvids, callerOf, type JwtSvidRates } from "./svid-rates.ts";
import type { JwtSvid, JwtSvidRequest, SvidSource, X509Svid } from "./svid-source.ts";

/** What of a RegistrationEntry its SVIDs are made of. */
export interface SvidEntry {
  readonly id: EntryId;
  readonly organization: OrganizationId;
  readonly agent: AgentId;
  readonly spiffeId: SpiffeId;
  readonly x509TtlSeconds: number;
  readonly jwtTtlSeconds: number;
  readonly dnsNames: readonly string[];
  readonly hint: string | undefined;
  /** The trust domains, beside our own, whose SVIDs its workload shall be able to verify. */
  readonly federatesWith: readonly TrustDomain[];
}

/** An entry that was matched for a workload. */
export interface MatchedEntry extends SvidEntry {
  /** Of the workload's configuration, as attestation found it; undefined where it found none. */
  readonly checksum: AgentChecksum | undefined;
}

/** What was issued for an entry; undefined where it was refused. */
export interface Issued<Svid> {
  readonly svid: Svid | undefined;
  /** Ids of what it rests on: when one of these changes, it is to be issued anew. */
  readonly restsOn: readonly string[];
}

/** Codes of the errors that say that somebody is not to have an SVID; others, that it can't be issued now. */
export const svidRefusals: ReadonlySet<string> = new Set<ErrorCode>([
  "subject_not_active",
  "not_attested",
  "not_found",
]);

/** What was refused is none, until something of it changes. */
export function noneIssued({ id, agent, checksum }: MatchedEntry): Issued<never> {
  const approvals = checksum === undefined ? [] : [approvalId(agent, checksum)];
  return { svid: undefined, restsOn: [agent, id, ...approvals] };
}

export interface SvidHolderDeps<Entry extends MatchedEntry> {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** The entries whose selectors are all among these. */
  readonly match: (workload: readonly Selector[]) => Promise<readonly Entry[]>;
  /** One answer for each entry, in order; none for one that can't be issued now. @throws DomainError when nothing can */
  readonly issueX509: (entries: readonly Entry[]) => Promise<readonly (Issued<X509Svid> | undefined)[]>;
  /** Calls back at that time, in milliseconds since the epoch. @returns a function that calls it off */
  readonly wakeAt: (atMs: number, wake: () => void) => () => void;
  /** @param audience sorted, each once */
  readonly issueJwt: (entry: Entry, audience: readonly string[]) => Promise<Issued<JwtSvid>>;
  /** What callers may have newly signed. */
  readonly jwtRates: JwtSvidRates;
  /** Whether one for this audience is bound to the key of who presents it first. */
  readonly isPinned: (audience: readonly string[]) => boolean;
}

export interface SvidHolder extends Pick<SvidSource, "x509Svids" | "jwtSvids" | "onChange"> {
  /** Drops what rests on one of these, and tells the listeners if there was any. */
  readonly drop: (ids: ReadonlySet<string>) => void;
  /** Tells the listeners that answers may have changed. */
  readonly tell: () => void;
  /** How many SVIDs are held that have not ended. */
  readonly held: () => { readonly x509: number; readonly jwt: number };
  /** The timer for the next renewal goes with it. */
  readonly close: () => void;
}

interface Held<Svid> extends Issued<Svid> {
  /** Not asked for again before. */
  renewAtMs: number;
}

type Store<Svid> = Map<string, Held<Svid>>;

/** How long a refusal, or a failure to renew, stands before it is tried again. */
const retryMs = 5_000;
/** What was last given out stays: as many as this of each kind. */
const heldMax = 20_000;
/** Renewals that fall due within this time are woken for once. */
const leastWakeMs = 1_000;

/**
 * Holds the SVIDs that were issued, so that each is issued once and given to all who match until half of its life is
 * over. It renews for who asks: those that nobody asks for any more lapse. While nothing can be issued, what is held is
 * given out until it ends. What a caller may have newly signed of an entry's JWT-SVIDs is bounded.
 */
export function createSvidHolder<Entry extends MatchedEntry>(deps: SvidHolderDeps<Entry>): SvidHolder {
  const x509: Store<X509Svid> = new Map();
  const jwt: Store<JwtSvid> = new Map();
  const underWay = new Map<string, Promise<unknown>>();
  const listeners = new Set<() => void>();
  const issueJwt = withinBounds(deps);
  let callOff: () => void = () => undefined;
  /** Counts what was said to have changed: what was issued across a change is given out, and asked for anew. */
  let changes = 0;

  function tell(): void {
    for (const listener of listeners) listener();
  }

  /** Wakes the listeners when the first of what is held is due, so that they ask for it anew. */
  function schedule(): void {
    callOff();
    const nowMs = deps.now();
    const due = [...x509.values()].map(({ renewAtMs }) => renewAtMs).filter((atMs) => atMs > nowMs);
    const nextMs = due.reduce((first, atMs) => Math.min(first, atMs), Number.POSITIVE_INFINITY);
    if (nextMs === Number.POSITIVE_INFINITY || listeners.size === 0) return;
    callOff = deps.wakeAt(Math.max(nextMs, nowMs + leastWakeMs), () => {
      dropEnded(x509, deps.now());
      tell();
      schedule();
    });
  }

  async function renewX509(entries: readonly Entry[]): Promise<void> {
    const changesBefore = changes;
    const issued = await deps.issueX509(entries);
    const isOld = changes !== changesBefore;
    entries.forEach((entry, place) => {
      const { svid, restsOn } = issued[place] ?? stillGood(x509.get(keyOf(entry)), deps.now());
      keep(x509, keyOf(entry), {
        svid,
        restsOn,
        renewAtMs: isOld ? deps.now() : renewalOf(svid, deps.now()),
      });
    });
    schedule();
    if (isOld) tell();
  }

  /** Renews what is due, each once however many ask for it at a time. */
  async function refresh(due: readonly Entry[]): Promise<void> {
    const mine = due.filter((entry) => !underWay.has(keyOf(entry)));
    if (mine.length > 0) {
      const renewal = orHeld(x509, mine.map(keyOf), deps.now, renewX509(mine)).finally(() => {
        for (const entry of mine) underWay.delete(keyOf(entry));
      });
      for (const entry of mine) underWay.set(keyOf(entry), renewal);
    }
    await Promise.all(new Set(due.map((entry) => underWay.get(keyOf(entry)))));
  }

  async function renewJwt(key: string, ...asked: Parameters<typeof issueJwt>): Promise<void> {
    const changesBefore = changes;
    const issued = await issueJwt(...asked);
    const isOld = changes !== changesBefore;
    keep(jwt, key, { ...issued, renewAtMs: isOld ? deps.now() : renewalOf(issued.svid, deps.now()) });
  }

  async function jwtSvidOf(...asked: Parameters<typeof issueJwt>): Promise<JwtSvid | undefined> {
    const [entry, audience] = asked;
    if (deps.isPinned(audience)) return (await issueJwt(...asked)).svid;
    const key = JSON.stringify([keyOf(entry), audience]);
    if ((jwt.get(key)?.renewAtMs ?? 0) <= deps.now()) {
      const renewal =
        underWay.get(key) ??
        orHeld(jwt, [key], deps.now, renewJwt(key, ...asked)).finally(() => underWay.delete(key));
      underWay.set(key, renewal);
      await renewal;
    }
    return jwt.get(key)?.svid;
  }

  return {
    async x509Svids(workload) {
      const entries = await deps.match(workload);
      const nowMs = deps.now();
      const due = entries.filter((entry) => (x509.get(keyOf(entry))?.renewAtMs ?? 0) <= nowMs);
      if (due.length > 0) await refresh(due);
      return entries.flatMap((entry) => x509.get(keyOf(entry))?.svid ?? []);
    },
    async jwtSvids(workload, { audience, spiffeId, uid }: JwtSvidRequest) {
      const matched = await deps.match(workload);
      const wanted = matched.filter((entry) => (spiffeId ?? entry.spiffeId) === entry.spiffeId);
      const sorted = [...new Set(audience)].sort();
      const caller = callerOf(uid, workload);
      const svids = await Promise.all(oneOfEach(wanted).map((entry) => jwtSvidOf(entry, sorted, caller)));
      return svids.filter((svid) => svid !== undefined);
    },
    onChange(listener) {
      listeners.add(listener);
      schedule();
      return () => void listeners.delete(listener);
    },
    drop(ids) {
      changes++;
      if (![dropResting(x509, ids), dropResting(jwt, ids)].includes(true)) return;
      tell();
      schedule();
    },
    tell,
    held: () => ({ x509: countGood(x509, deps.now()), jwt: countGood(jwt, deps.now()) }),
    close: () => callOff(),
  };
}

/** One entry of each identity. */
function oneOfEach<Entry extends MatchedEntry>(entries: readonly Entry[]): readonly Entry[] {
  return [...new Map(entries.map((entry) => [entry.spiffeId, entry])).values()];
}

/** Issues a JWT-SVID at a caller's wish. @throws DomainError `too_many_requests` */
function withinBounds<Entry extends MatchedEntry>({
  now,
  issueJwt,
  jwtRates,
}: Pick<SvidHolderDeps<Entry>, "now" | "issueJwt" | "jwtRates">) {
  const admit = boundsJwtSvids(jwtRates, now);
  return async (entry: Entry, audience: readonly string[], caller: string): Promise<Issued<JwtSvid>> => {
    admit(entry.id, caller);
    return issueJwt(entry, audience);
  };
}

/** What one workload of an entry may be given that was issued to another: nothing, unless both have one configuration. */
function keyOf({ id, checksum }: MatchedEntry): string {
  return checksum === undefined ? id : `${id} ${checksum}`;
}

/** A renewal that fails is no failure for those who still have something to give out. */
async function orHeld(
  store: Store<{ readonly expiresAtMs: number }>,
  keys: readonly string[],
  now: () => number,
  renewal: Promise<void>,
): Promise<void> {
  try {
    await renewal;
  } catch (error) {
    let isCovered = true;
    for (const key of keys) {
      const held = store.get(key);
      if (held?.svid !== undefined && now() < held.svid.expiresAtMs) held.renewAtMs = now() + retryMs;
      else isCovered = false;
    }
    if (!isCovered) throw error;
  }
}

function keep<Svid>(store: Store<Svid>, key: string, held: Held<Svid>): void {
  // Those that were kept longest ago stand first.
  store.delete(key);
  store.set(key, held);
  const [oldest] = store.keys();
  if (store.size > heldMax && oldest !== undefined) store.delete(oldest);
}

function dropResting<Svid>(store: Store<Svid>, ids: ReadonlySet<string>): boolean {
  const sizeBefore = store.size;
  for (const [key, { restsOn }] of store) if (restsOn.some((id) => ids.has(id))) store.delete(key);
  return store.size < sizeBefore;
}

function dropEnded(store: Store<{ readonly expiresAtMs: number }>, nowMs: number): void {
  for (const [key, { svid, renewAtMs }] of store) {
    if ((svid?.expiresAtMs ?? renewAtMs) <= nowMs) store.delete(key);
  }
}

function countGood(store: Store<{ readonly expiresAtMs: number }>, nowMs: number): number {
  return [...store.values()].filter(({ svid }) => svid !== undefined && nowMs < svid.expiresAtMs).length;
}

/** What is given out while the next one can't be issued: none where nothing is held, or that has ended. */
function stillGood<Svid extends { readonly expiresAtMs: number }>(
  held: Issued<Svid> | undefined,
  nowMs: number,
): Issued<Svid> {
  const isGood = held?.svid !== undefined && nowMs < held.svid.expiresAtMs;
  return isGood ? held : { svid: undefined, restsOn: [] };
}

/** When half of its life is over. */
function renewalOf(svid: { readonly expiresAtMs: number } | undefined, nowMs: number): number {
  return svid === undefined ? nowMs + retryMs : nowMs + (svid.expiresAtMs - nowMs) / 2;
}
