import type { LogId } from "@countersign/sdk/model/ids";
import type { KeyPurpose, KeyStatus } from "../domain/signing-key.ts";
import type { Database } from "./database.ts";

interface SigningKeyCommon {
  /** RFC 7638 thumbprint of the public key; the `kid` of one that signs JWTs. */
  readonly id: string;
  readonly status: KeyStatus;
  readonly publicJwk: string;
  /** The private key in PKCS #8, sealed by the data key named. */
  readonly sealed: Uint8Array;
  readonly dataKeyId: string;
  readonly createdAt: Date;
  readonly activatedAt: Date | null;
  readonly retiredAt: Date | null;
}

/** Signs access tokens and whatever else the issuer states, or JWT-SVIDs. */
export interface StoredJwtKey extends SigningKeyCommon {
  readonly purpose: "token" | "jwt_authority";
  readonly algorithm: "ES256";
}

/** Signs the checkpoints of one log. */
export interface StoredLogKey extends SigningKeyCommon {
  readonly purpose: "log";
  readonly algorithm: "EdDSA";
  readonly log: LogId;
  readonly origin: string;
}

/** Signs the certificates of X.509-SVIDs. */
export interface StoredX509Authority extends SigningKeyCommon {
  readonly purpose: "x509_authority";
  readonly algorithm: "ES256";
  /** Of its own certificate, as it was recorded. */
  readonly toBeSigned: Uint8Array;
  /**
   * Certificates in DER: until it is certified, of the operator's authority that is to certify it too, up to a root; from then
   * on the way to that root, its own certificate by that authority first. Empty where there is none.
   */
  readonly upstream: readonly Uint8Array[];
  readonly notAfter: Date;
  /** Null until it is signed, which comes after it was recorded. */
  readonly certificate: Uint8Array | null;
  readonly certifiedAt: Date | null;
}

export type StoredSigningKey = StoredJwtKey | StoredLogKey | StoredX509Authority;

interface Row extends SigningKeyCommon {
  readonly purpose: KeyPurpose;
  readonly log: LogId | null;
  readonly origin: string | null;
  readonly toBeSigned: Uint8Array | null;
  readonly upstream: readonly string[];
  readonly notAfter: Date | null;
  readonly certificate: Uint8Array | null;
  readonly certifiedAt: Date | null;
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
      k.retired_at AS "retiredAt", k.to_be_signed AS "toBeSigned", k.upstream, k.not_after AS "notAfter",
      k.certificate, k.certified_at AS "certifiedAt"
    FROM signing_key k LEFT JOIN log l ON l.id = k.log_id
    WHERE k.status <> 'retired' OR k.retired_at >= ${retiredSince}
    ORDER BY k.created_at, k.id`;
  return rows.flatMap(storedKeyOf);
}

/**
 * Keeps the certificate of an X.509 authority that has none yet.
 *
 * @returns false when another process kept its own first: that one counts
 */
export async function keepCertificate(
  db: Database,
  authority: Pick<StoredX509Authority, "id" | "upstream"> & {
    readonly certificate: Uint8Array;
    readonly certifiedAt: Date;
  },
): Promise<boolean> {
  const { id, certificate, certifiedAt } = authority;
  const upstream = authority.upstream.map((der) => Buffer.from(der).toString("base64"));
  const kept = await db.prisma.$executeRaw`
    UPDATE signing_key SET certificate = ${Buffer.from(certificate)}, upstream = ${upstream},
      certified_at = ${certifiedAt}
    WHERE id = ${id} AND purpose = 'x509_authority' AND certificate IS NULL`;
  return kept === 1;
}

function storedKeyOf(row: Row): StoredSigningKey[] {
  const { purpose, log, origin, toBeSigned, upstream, notAfter, certificate, certifiedAt, ...key } = row;
  if (purpose === "log") {
    // The key of a log that is not there signs nothing.
    return log === null || origin === null ? [] : [{ ...key, purpose, algorithm: "EdDSA", log, origin }];
  }
  if (purpose !== "x509_authority") return [{ ...key, purpose, algorithm: "ES256" }];
  if (toBeSigned === null || notAfter === null) return [];
  const chain = upstream.map((der) => Buffer.from(der, "base64"));
  const certified = { toBeSigned, upstream: chain, notAfter, certificate, certifiedAt };
  return [{ ...key, purpose, algorithm: "ES256", ...certified }];
}
