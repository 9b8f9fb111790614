import type { LedgerActor } from "@countersign/sdk/contract/ledger-entry";
import { type LogId, systemLog } from "@countersign/sdk/model/ids";
import { DomainError } from "../../domain/domain-error.ts";
import { isKnownAuthority, type KeyPurpose } from "../../domain/signing-key.ts";
import { vkeyOf } from "../../keys/log-signer.ts";
import { type NewSigningKeyDeps, newSigningKey, parsePublicJwk } from "../../keys/signing-key.ts";
import type { AppendEntry } from "../../ledger/append.ts";
import type { Database } from "../../store/database.ts";
import {
  listSigningKeys,
  type StoredJwtKey,
  type StoredLogKey,
  type StoredSigningKey,
  type StoredX509Authority,
} from "../../store/signing-keys.ts";
import type { Write } from "../../store/write.ts";
import { appendDemanded } from "../record/append-demanded.ts";
import { type RequestContext, requestOf } from "../record/record.ts";
import type { Refusal } from "../record/refusal.ts";

export interface RotateKeysDeps extends NewSigningKeyDeps {
  readonly db: Database;
  readonly append: AppendEntry;
  /** Makes this process use what became of the keys. */
  readonly reloadKeys: () => Promise<void>;
}

export interface RotateKeysRequest {
  /** Undefined: every key whose successor may sign. */
  readonly purpose?: KeyPurpose;
  readonly by: LedgerActor;
  /** Of the request that asks for it. */
  readonly context?: RequestContext;
}

/** One rotation that was recorded. */
export interface Rotation {
  readonly purpose: KeyPurpose;
  readonly log?: LogId;
  /** Ids of the key that signs from now on, and of the one that did. */
  readonly activated: string;
  readonly retired: string;
  readonly ledger: { readonly log: LogId; readonly index: number };
}

const aDayMs = 24 * 60 * 60_000;

/** How long a key signs before `rotateIfDue` replaces it. Whoever verifies a log keeps its key by hand: that is rarer. */
export const keyLifetimeMs = { token: 30 * aDayMs, jwt_authority: 30 * aDayMs, log: 365 * aDayMs } as const;

/**
 * Rotates signing keys, each in one commit. What signs JWTs: the next key, which verifiers know already, becomes active, the
 * active one retires and stays published for its overlap, and a new next key is made. Logs: a new key becomes active, and
 * the old one signs beside it for its overlap. X.509 authorities: the next one becomes active once it has been known for
 * long enough; `keepAuthorities` prepares the one after it.
 *
 * @throws DomainError `conflict` when another rotation came first (those made before it stand) or there is no such key;
 *   `precondition_failed`, `idempotency_key_in_use` for what the request demands; or as AppendEntry does
 */
export async function rotateKeys(
  deps: RotateKeysDeps,
  request: RotateKeysRequest,
): Promise<readonly Rotation[]> {
  const active = (await activeKeys(deps)).filter(({ purpose }) => (request.purpose ?? purpose) === purpose);
  if (active.length === 0) throw new DomainError("conflict", notRotatable[request.purpose ?? "token"]);
  const rotations: Rotation[] = [];
  for (const key of active) {
    const rotation = await rotateKey(deps, key, rotations.length === 0 ? request : demandingNothing(request));
    await deps.reloadKeys();
    if ("code" in rotation) throw new DomainError(rotation.code, rotation.publicDetail);
    rotations.push(rotation);
  }
  return rotations;
}

/**
 * Rotates each key that has signed for its `keyLifetimeMs`. To be called every hour by every replica: of those that find
 * one due at once, one rotates it.
 *
 * @returns what this call rotated
 * @throws DomainError as AppendEntry does
 */
export async function rotateIfDue(deps: RotateKeysDeps): Promise<readonly Rotation[]> {
  const isDue = ({ purpose, activatedAt }: ActiveKey) =>
    purpose !== "x509_authority" &&
    activatedAt !== null &&
    deps.now() >= activatedAt.getTime() + keyLifetimeMs[purpose];
  const rotations: Rotation[] = [];
  for (const key of (await activeKeys(deps)).filter(isDue)) {
    const rotation = await rotateKey(deps, key, { by: { kind: "system", id: "key-schedule" } });
    await deps.reloadKeys();
    if (!("code" in rotation)) rotations.push(rotation);
  }
  return rotations;
}

/** A key that signs, and the one that is to follow it, where there is one already. */
export type ActiveKey = StoredLogKey | ((StoredJwtKey | StoredX509Authority) & { readonly nextId: string });

async function activeKeys({ db, now }: RotateKeysDeps): Promise<readonly ActiveKey[]> {
  const keys = await listSigningKeys(db, new Date(now()));
  const followerOf = (of: StoredSigningKey) =>
    keys.find((key) => key.purpose === of.purpose && key.status === "next" && isKnown(key, now()));
  return keys.flatMap((key): ActiveKey[] => {
    if (key.status !== "active") return [];
    if (key.purpose === "log") return [key];
    const next = followerOf(key);
    return next === undefined ? [] : [{ ...key, nextId: next.id }];
  });
}

/** Whether verifiers know a next key: those of JWTs are published for as long as the key before them signs. */
export function isKnown(next: StoredSigningKey, nowMs: number): boolean {
  if (next.purpose !== "x509_authority") return true;
  return isKnownAuthority(next.certifiedAt?.getTime(), nowMs);
}

const notRotatable: Readonly<Record<KeyPurpose, string>> = {
  token: "there is no key to rotate",
  log: "there is no key to rotate",
  jwt_authority: "there is no key to rotate",
  x509_authority:
    "no authority is ready to follow: one is prepared at half of the life of the one that signs, and signs once it has been in the trust bundle for ten minutes; one that is compromised is tainted, and followed at once",
};

/** What a request demands comes with the first of its commits: a repeat of it then rotates nothing again. */
function demandingNothing({ by, context }: RotateKeysRequest): RotateKeysRequest {
  return { by, ...(context && { context: { ...context, demands: { writes: [], conditions: [] } } }) };
}

/**
 * Lets the key that is to follow sign in the place of this one.
 *
 * @returns the refusal when another rotation of this key came first, or what is demanded does not hold
 */
export async function rotateKey(
  deps: RotateKeysDeps,
  key: ActiveKey,
  { by, context }: RotateKeysRequest,
): Promise<Rotation | Refusal> {
  const { activated, detail, writes } = await successionOf(deps, key);
  const entry = {
    actor: by,
    ...(context && requestOf(context)),
    detail: { purpose: key.purpose, retired: key.id, activated, ...detail },
  };
  const appended = await appendDemanded(
    deps,
    systemLog,
    {
      entry: { ...entry, type: "key.activated" },
      refused: { ...entry, type: "mutation.refused", action: "keys.rotate" },
      refusalOf: () => cameLate,
      writes: [{ set: "signing_key", id: key.id, from: ["active"], to: "retired" }, ...writes],
      conditions: [],
    },
    context?.demands,
  );
  if (!appended.committed) return appended.refusal;
  return {
    purpose: key.purpose,
    ...(key.purpose === "log" && { log: key.log }),
    activated,
    retired: key.id,
    ledger: { log: appended.log, index: appended.index },
  };
}

const cameLate: Refusal = {
  code: "conflict",
  publicDetail: "another rotation came first",
  reason: "another rotation came first",
};

export interface Succession {
  readonly activated: string;
  readonly detail: Readonly<Record<string, string>>;
  readonly writes: readonly Write[];
}

/** What comes in the place of a key that signs no more. */
export async function successionOf(deps: NewSigningKeyDeps, key: ActiveKey): Promise<Succession> {
  if (key.purpose !== "log") {
    const activation: Write = { set: "signing_key", id: key.nextId, from: ["next"], to: "active" };
    if (key.purpose === "x509_authority") return { activated: key.nextId, detail: {}, writes: [activation] };
    const next = await newSigningKey(deps, { purpose: key.purpose }, "next");
    return {
      activated: key.nextId,
      detail: { next: next.id, next_public_jwk: next.public_jwk },
      writes: [activation, { into: "signing_key", row: next }],
    };
  }
  const active = await newSigningKey(deps, { purpose: "log", log: key.log }, "active");
  return {
    activated: active.id,
    detail: { log: key.log, vkey: vkeyOf(key.origin, parsePublicJwk(active.public_jwk)) },
    writes: [{ into: "signing_key", row: active }],
  };
}
