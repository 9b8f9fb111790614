import type { LogId } from "@countersign/sdk/model/ids";
import type { KeyPurpose, KeyStatus } from "../../domain/signing-key.ts";
import { vkeyOf } from "../../keys/log-signer.ts";
import { type PublicJwk, parsePublicJwk } from "../../keys/signing-key.ts";
import type { Database } from "../../store/database.ts";
import { listSigningKeys, type StoredSigningKey } from "../../store/signing-keys.ts";

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
}

/** Every signing key there ever was, oldest first: old checkpoints are verified with old keys. Public halves only. */
export async function listKeys({ db }: ListKeysDeps): Promise<readonly ListedKey[]> {
  return (await listSigningKeys(db, new Date(0))).map(listedKeyOf);
}

function listedKeyOf(key: StoredSigningKey): ListedKey {
  const { id, purpose, algorithm, status, createdAt, activatedAt, retiredAt } = key;
  const publicJwk = parsePublicJwk(key.publicJwk);
  const common = { id, purpose, algorithm, status, publicJwk, createdAt, activatedAt, retiredAt };
  if (key.purpose === "x509_authority") return { ...common, logId: null, notAfter: key.notAfter };
  if (key.purpose !== "log") return { ...common, logId: null };
  return { ...common, logId: key.log, vkey: vkeyOf(key.origin, publicJwk) };
}
