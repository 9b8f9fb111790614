import type { LogId } from "@countersign/sdk/model/ids";
import type { KeyPurpose, KeyStatus } from "../../domain/signing-key.ts";
import { endOf } from "../../keys/key-snapshot.ts";
import { vkeyOf } from "../../keys/log-signer.ts";
import { type PublicJwk, parsePublicJwk } from "../../keys/signing-key.ts";
import type { Database } from "../../store/database.ts";
import { listSigningKeys, type StoredSigningKey } from "../../store/signing-keys.ts";
import { succeededAtMs } from "./authorities.ts";
import { keyLifetimeMs } from "./rotate.ts";

export interface ListKeysDeps {
  readonly db: Database;
}

/** A signing key as it may be shown to anyone. */
export interface ListedKey {
  readonly id: string;
  readonly purpose: KeyPurpose;
  readonly logId: LogId | null;
  readonly algorithm: "ES256" | "EdDSA";
  readonly status: KeyStatus;
  readonly publicJwk: PublicJwk;
  /** The key of a log as C2SP signed-note verifiers take it. */
  readonly vkey?: string;
  readonly createdAt: Date;
  readonly activatedAt: Date | null;
  readonly retiredAt: Date | null;
  /** Of an X.509 authority: when its certificate ends. */
  readonly notAfter?: Date;
  /** Of one that signs: when that ends by itself. */
  readonly signsUntil?: Date;
  /** Of one that verifiers are told of: until when they are, where that is known. */
  readonly publishedUntil?: Date;
}

/** Every signing key there ever was, oldest first: old checkpoints are verified with old keys. Public halves only. */
export async function listKeys({ db }: ListKeysDeps): Promise<readonly ListedKey[]> {
  return (await listSigningKeys(db, new Date(0))).map(listedKeyOf);
}

function listedKeyOf(key: StoredSigningKey): ListedKey {
  const { id, purpose, algorithm, status, createdAt, activatedAt, retiredAt } = key;
  const publicJwk = parsePublicJwk(key.publicJwk);
  const known = { id, purpose, algorithm, status, publicJwk, createdAt, activatedAt, retiredAt };
  const common = { ...known, ...timesOf(key) };
  if (key.purpose === "x509_authority") return { ...common, logId: null, notAfter: key.notAfter };
  if (key.purpose !== "log") return { ...common, logId: null };
  return { ...common, logId: key.log, vkey: vkeyOf(key.origin, publicJwk) };
}

function timesOf(key: StoredSigningKey): Pick<ListedKey, "signsUntil" | "publishedUntil"> {
  // One of a log that is retired signs beside its successor; the keys of logs are published by nobody but their verifiers.
  const signsUntil = timeOf(
    key.purpose === "log" && key.status === "retired" ? endOf(key) : replacedAtMs(key),
  );
  const publishedUntil = key.purpose === "log" ? undefined : timeOf(endOf(key));
  return { ...(signsUntil && { signsUntil }), ...(publishedUntil && { publishedUntil }) };
}

function replacedAtMs(key: StoredSigningKey): number {
  if (key.status !== "active" || key.activatedAt === null) return Number.POSITIVE_INFINITY;
  if (key.purpose === "x509_authority") return succeededAtMs(key);
  return key.activatedAt.getTime() + keyLifetimeMs[key.purpose];
}

function timeOf(ms: number): Date | undefined {
  return Number.isFinite(ms) ? new Date(ms) : undefined;
}
