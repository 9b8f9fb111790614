import type { LogId } from "@countersign/sdk/model/ids";
import type { Database } from "./database.ts";

interface SigningKeyCommon {
  /** RFC 7638 thumbprint of the public key; the `kid` of a token key. */
  readonly id: string;
  readonly status: "next" | "active" | "retired";
  readonly publicJwk: string;
  /** The private key in PKCS #8, sealed by the data key named. */
  readonly sealed: Uint8Array;
  readonly dataKeyId: string;
  readonly createdAt: Date;
  readonly activatedAt: Date | null;
  readonly retiredAt: Date | null;
}

/** Signs access tokens and whatever else the issuer states. */
export interface StoredTokenKey extends SigningKeyCommon {
  readonly purpose: "token";
  readonly algorithm: "ES256";
}

/** Signs the checkpoints of one log. */
export interface StoredLogKey extends SigningKeyCommon {
  readonly purpose: "log";
  readonly algorithm: "EdDSA";
  readonly log: LogId;
  readonly origin: string;
}

export type StoredSigningKey = StoredTokenKey | StoredLogKey;

interface Row extends SigningKeyCommon {
  readonly purpose: "token" | "log";
  readonly log: LogId | null;
  readonly origin: string | null;
}

/**
 * Signing keys, oldest first, their private halves sealed. They belong to the installation, not to an organization.
 *
 * @param retiredSince leaves out the keys that were retired before it
 */
export async function listSigningKeys(
  db: Database,
  retiredSince: Date,
): Promise<readonly StoredSigningKey[]> {
  const rows = await db.prisma.$queryRaw<Row[]>`
    SELECT k.id, k.purpose, k.log_id AS log, l.origin, k.status, k.public_jwk AS "publicJwk", k.sealed,
      k.data_key_id AS "dataKeyId", k.created_at AS "createdAt", k.activated_at AS "activatedAt",
      k.retired_at AS "retiredAt"
    FROM signing_key k LEFT JOIN log l ON l.id = k.log_id
    WHERE k.status <> 'retired' OR k.retired_at >= ${retiredSince}
    ORDER BY k.created_at, k.id`;
  return rows.flatMap(storedKeyOf);
}

function storedKeyOf({ purpose, log, origin, ...key }: Row): StoredSigningKey[] {
  if (purpose === "token") return [{ ...key, purpose, algorithm: "ES256" }];
  // The key of a log that is not there signs nothing.
  return log === null || origin === null ? [] : [{ ...key, purpose, algorithm: "EdDSA", log, origin }];
}
