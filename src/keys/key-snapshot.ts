import type { LogId } from "@countersign/sdk/model/ids";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { bundleRefreshSeconds } from "../domain/signing-key.ts";
import type { Database } from "../store/database.ts";
import {
  listSigningKeys,
  type StoredJwtKey,
  type StoredLogKey,
  type StoredSigningKey,
  type StoredX509Authority,
} from "../store/signing-keys.ts";
import { type LogSigner, openLogSigner } from "./log-signer.ts";
import type { Sealer } from "./sealer.ts";
import type { PublicTokenJwk } from "./signing-key.ts";
import { openTokenKey, type TokenKey } from "./token-key.ts";
import { openX509Authority, type X509Authority } from "./x509-authority.ts";

const anHourMs = 60 * 60_000;

/**
 * How long a retired key stays in use: one that signs JWTs stays published for longer than any JWT of it can be presented
 * (5 min of life, a minute of clock leeway, the seconds until every replica knows of the rotation), with room for
 * verifiers' caches; a log's goes on signing checkpoints beside its successor, for those who know only the old one. An
 * X.509 authority stays in the trust bundle until it ends.
 */
export const overlapMs = {
  token: anHourMs,
  jwt_authority: anHourMs,
  log: 30 * 24 * anHourMs,
} as const;

/** Keys that sign JWTs: one that does, and all that verifiers shall know. */
export interface JwtKeys {
  /** The one key that signs. */
  readonly active: TokenKey;
  /** The active key first, then the next one, then retired ones that may still be met. */
  readonly published: readonly PublicTokenJwk[];
  /** Those that were withdrawn since among them: what these signed is not to be given out any more. */
  readonly taintedIds: readonly string[];
}

export interface X509Authorities {
  /** The one that signs. */
  readonly active: X509Authority;
  /** Those that were withdrawn since among them: what these signed is not to be given out any more. */
  readonly taintedIds: readonly string[];
}

/** The keys in use at one moment. */
export interface KeySnapshot {
  readonly tokenKeys: JwtKeys | undefined;
  readonly jwtAuthorities: JwtKeys | undefined;
  readonly x509Authorities: X509Authorities | undefined;
  readonly trustBundle: TrustBundle;
  /** What we ourselves accept SVIDs by: each of our authorities, and none that is tainted. */
  readonly svidBundle: TrustBundle;
  /** By log: the active key first, then those still in their overlap. */
  readonly logSigners: ReadonlyMap<LogId, readonly LogSigner[]>;
  /** Changes whenever anything of the above does. */
  readonly fingerprint: string;
  readonly opened: OpenedKeys;
}

/** Opened keys by the place they were sealed for. */
interface OpenedKeys {
  readonly jwt: ReadonlyMap<string, TokenKey>;
  readonly log: ReadonlyMap<string, LogSigner>;
  readonly x509: ReadonlyMap<string, X509Authority>;
}

export interface KeySnapshotDeps {
  readonly db: Database;
  readonly sealer: Sealer;
  readonly trustDomain: TrustDomain;
  readonly now: () => number;
}

/**
 * Reads the keys that are in use now. A key that an earlier snapshot opened is not opened again.
 *
 * @throws KeysUnusableError when a key does not open
 */
export async function readKeySnapshot(
  { db, sealer, trustDomain, now }: KeySnapshotDeps,
  earlier?: KeySnapshot,
): Promise<KeySnapshot> {
  const nowMs = now();
  const known = await listSigningKeys(db, new Date(nowMs - overlapMs.log));
  const stored = known
    .filter((key) => isInUse(key, nowMs))
    .sort((one, other) => order[one.status] - order[other.status]);
  const jwts = stored.filter(isJwtKey);
  const logs = stored.filter((key) => key.purpose === "log");
  const authorities = stored.filter((key) => key.purpose === "x509_authority");
  const opened = {
    jwt: await openEach(jwts, earlier?.opened.jwt, (key) => openTokenKey(sealer, key)),
    log: await openEach(logs, earlier?.opened.log, (key) => openLogSigner(sealer, key)),
    x509: await openEach(authorities, earlier?.opened.x509, (key) => openX509Authority(sealer, key)),
  };
  const tainted = known.filter((key) => isTainted(key, nowMs));
  const jwtAuthorities = jwtKeysOf(jwts, opened.jwt, idsOf(tainted, "jwt_authority"), "jwt_authority");
  return {
    tokenKeys: jwtKeysOf(jwts, opened.jwt, [], "token"),
    jwtAuthorities,
    x509Authorities: x509AuthoritiesOf(authorities, opened.x509, idsOf(tainted, "x509_authority")),
    trustBundle: {
      trustDomain,
      x509Authorities: [...opened.x509.values()].map(({ certificate }) => certificate),
      jwtAuthorities: (jwtAuthorities?.published ?? []).map(({ use: _, ...jwk }) => jwk),
      sequence: sequenceOf(known, nowMs),
      refreshHintSeconds: bundleRefreshSeconds,
    },
    svidBundle: {
      trustDomain,
      x509Authorities: untainted(authorities, opened.x509).map(({ certificate }) => certificate),
      jwtAuthorities: untainted(jwts.filter(isJwtAuthority), opened.jwt).map(({ publicJwk }) => publicJwk),
    },
    logSigners: signersByLog(logs, opened.log),
    fingerprint: stored.map((key) => `${placeOf(key)} ${key.status}`).join("\n"),
    opened,
  };
}

const order = { active: 0, next: 1, retired: 2, tainted: 3, withdrawn: 4 } as const;

function isJwtKey(key: StoredSigningKey): key is StoredJwtKey {
  return key.purpose === "token" || key.purpose === "jwt_authority";
}

function isInUse(key: StoredSigningKey, nowMs: number): boolean {
  const isWhole = key.purpose !== "x509_authority" || key.certificate !== null;
  return isWhole && nowMs < endOf(key);
}

/** When a key is out of use as things stand, in milliseconds since the epoch; an infinite time where nobody can say. */
export function endOf(key: StoredSigningKey): number {
  if (key.status === "withdrawn") return Number.NEGATIVE_INFINITY;
  if (key.purpose === "x509_authority") return key.notAfter.getTime();
  return key.retiredAt === null ? Number.POSITIVE_INFINITY : key.retiredAt.getTime() + overlapMs[key.purpose];
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
  return key.purpose === "log" ? `${key.log} ${key.origin} ${key.id}` : `${key.purpose} ${key.id}`;
}

function jwtKeysOf(
  stored: readonly StoredJwtKey[],
  opened: ReadonlyMap<string, TokenKey>,
  taintedIds: readonly string[],
  purpose: StoredJwtKey["purpose"],
): JwtKeys | undefined {
  const keys = stored.filter((key) => key.purpose === purpose);
  const published = keys.flatMap((key) => opened.get(placeOf(key)) ?? []);
  const [active] = published;
  return keys[0]?.status === "active" && active !== undefined
    ? { active, published: published.map(({ publicJwk }) => publicJwk), taintedIds }
    : undefined;
}

function x509AuthoritiesOf(
  stored: readonly StoredX509Authority[],
  opened: ReadonlyMap<string, X509Authority>,
  taintedIds: readonly string[],
): X509Authorities | undefined {
  const [first] = stored;
  const active = first?.status === "active" ? opened.get(placeOf(first)) : undefined;
  return active && { active, taintedIds };
}

/** Of what one had signed that was withdrawn an hour ago, everything has ended. */
function isTainted({ status, retiredAt }: StoredSigningKey, nowMs: number): boolean {
  return status === "tainted" || (status === "withdrawn" && nowMs < (retiredAt?.getTime() ?? 0) + anHourMs);
}

function idsOf(keys: readonly StoredSigningKey[], purpose: StoredSigningKey["purpose"]): readonly string[] {
  return keys.filter((key) => key.purpose === purpose).map(({ id }) => id);
}

function isJwtAuthority({ purpose }: StoredJwtKey): boolean {
  return purpose === "jwt_authority";
}

function untainted<Opened>(
  stored: readonly StoredSigningKey[],
  opened: ReadonlyMap<string, Opened>,
): readonly Opened[] {
  return stored.flatMap((key) => (key.status === "tainted" ? [] : (opened.get(placeOf(key)) ?? [])));
}

/**
 * The number of the trust bundle: the time, in milliseconds, of the last thing that changed what is in it. It follows
 * from the keys alone, so that all replicas say the same, and grows with each change.
 */
function sequenceOf(known: readonly StoredSigningKey[], nowMs: number): number {
  const authorities = known.filter(
    ({ purpose }) => purpose === "jwt_authority" || purpose === "x509_authority",
  );
  const times = authorities.flatMap((key) => [
    key.createdAt.getTime(),
    key.retiredAt?.getTime() ?? 0,
    endOf(key),
    key.purpose === "x509_authority" ? (key.certifiedAt?.getTime() ?? 0) : 0,
  ]);
  return times.filter((timeMs) => timeMs <= nowMs).reduce((last, timeMs) => Math.max(last, timeMs), 0);
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
