import type { LogId } from "@countersign/sdk/model/ids";
import type { Database } from "../store/database.ts";
import { listSigningKeys, type StoredLogKey, type StoredSigningKey } from "../store/signing-keys.ts";
import { type LogSigner, openLogSigner } from "./log-signer.ts";
import type { Sealer } from "./sealer.ts";
import type { PublicTokenJwk } from "./signing-key.ts";
import { openTokenKey, type TokenKey } from "./token-key.ts";

/**
 * How long a retired token key stays published: longer than any token it signed can be presented (5 min of life, a
 * minute of clock leeway, the seconds until every replica knows of the rotation), with room for verifiers' caches.
 */
export const tokenKeyOverlapMs = 60 * 60_000;

/** How long a retired log key goes on signing checkpoints beside its successor, for those who know only the old one. */
export const logKeyOverlapMs = 30 * 24 * 60 * 60_000;

export interface TokenKeys {
  /** The one key that signs. */
  readonly active: TokenKey;
  /** What JWKS shows: the active key first, then the next one, then retired ones that may still be met. */
  readonly published: readonly PublicTokenJwk[];
}

/** The keys in use at one moment. */
export interface KeySnapshot {
  readonly tokenKeys: TokenKeys | undefined;
  /** By log: the active key first, then those still in their overlap. */
  readonly logSigners: ReadonlyMap<LogId, readonly LogSigner[]>;
  /** Changes whenever anything of the above does. */
  readonly fingerprint: string;
  readonly opened: OpenedKeys;
}

/** Opened keys by the place they were sealed for. */
interface OpenedKeys {
  readonly token: ReadonlyMap<string, TokenKey>;
  readonly log: ReadonlyMap<string, LogSigner>;
}

export interface KeySnapshotDeps {
  readonly db: Database;
  readonly sealer: Sealer;
  readonly now: () => number;
}

/**
 * Reads the keys that are in use now. A key that an earlier snapshot opened is not opened again.
 *
 * @throws KeysUnusableError when a key does not open
 */
export async function readKeySnapshot(
  { db, sealer, now }: KeySnapshotDeps,
  earlier?: KeySnapshot,
): Promise<KeySnapshot> {
  const nowMs = now();
  const stored = (await listSigningKeys(db, new Date(nowMs - logKeyOverlapMs)))
    .filter((key) => isInUse(key, nowMs))
    .sort((one, other) => order[one.status] - order[other.status]);
  const tokens = stored.filter((key) => key.purpose === "token");
  const logs = stored.filter((key) => key.purpose === "log");
  const opened = {
    token: await openEach(tokens, earlier?.opened.token, (key) => openTokenKey(sealer, key)),
    log: await openEach(logs, earlier?.opened.log, (key) => openLogSigner(sealer, key)),
  };
  const [active] = opened.token.values();
  const published = [...opened.token.values()].map(({ publicJwk }) => publicJwk);
  return {
    tokenKeys: tokens[0]?.status === "active" && active !== undefined ? { active, published } : undefined,
    logSigners: signersByLog(logs, opened.log),
    fingerprint: stored.map((key) => `${placeOf(key)} ${key.status}`).join("\n"),
    opened,
  };
}

const order = { active: 0, next: 1, retired: 2 } as const;

function isInUse({ purpose, status, retiredAt }: StoredSigningKey, nowMs: number): boolean {
  if (status !== "retired") return true;
  const overlapMs = purpose === "token" ? tokenKeyOverlapMs : logKeyOverlapMs;
  return retiredAt !== null && nowMs < retiredAt.getTime() + overlapMs;
}

async function openEach<Stored extends StoredSigningKey, Opened>(
  stored: readonly Stored[],
  earlier: ReadonlyMap<string, Opened> | undefined,
  open: (key: Stored) => Promise<Opened>,
): Promise<ReadonlyMap<string, Opened>> {
  const opened = new Map<string, Opened>();
  for (const key of stored) opened.set(placeOf(key), earlier?.get(placeOf(key)) ?? (await open(key)));
  return opened;
}

function placeOf(key: StoredSigningKey): string {
  return key.purpose === "token" ? key.id : `${key.log} ${key.origin} ${key.id}`;
}

function signersByLog(
  stored: readonly StoredLogKey[],
  opened: ReadonlyMap<string, LogSigner>,
): ReadonlyMap<LogId, readonly LogSigner[]> {
  const signers = new Map<LogId, LogSigner[]>();
  for (const key of stored) {
    const signer = opened.get(placeOf(key));
    if (signer !== undefined) signers.set(key.log, [...(signers.get(key.log) ?? []), signer]);
  }
  return signers;
}
