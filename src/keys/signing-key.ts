import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair as generateKeyPairWithCallback,
  type KeyObject,
  sign,
} from "node:crypto";
import { promisify } from "node:util";
import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import type { LogId } from "@countersign/sdk/model/ids";
import { calculateJwkThumbprint } from "jose";
import { z } from "zod";
import type { KeyPurpose } from "../domain/signing-key.ts";
import type { SigningKeyRow } from "../store/rows.ts";
import type { StoredSigningKey } from "../store/signing-keys.ts";
import { KeysUnusableError } from "./keys-unusable-error.ts";
import type { Sealer } from "./sealer.ts";

const generateKeyPair = promisify(generateKeyPairWithCallback);

export interface NewSigningKeyDeps {
  readonly sealer: Sealer;
  readonly now: () => number;
}

/** What a key is for. A key signs for one purpose, and a log's key for one log. */
export type KeyUse =
  | { readonly purpose: Exclude<KeyPurpose, "log"> }
  | { readonly purpose: "log"; readonly log: LogId };

const publicTokenJwkSchema = z.strictObject({
  kty: z.literal("EC"),
  crv: z.literal("P-256"),
  x: z.string(),
  y: z.string(),
  kid: z.string(),
  alg: z.literal("ES256"),
  use: z.literal("sig"),
});
const publicLogJwkSchema = z.strictObject({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  x: z.string(),
  kid: z.string(),
  alg: z.literal("EdDSA"),
  use: z.literal("sig"),
});
const publicJwkSchema = z.discriminatedUnion("kty", [publicTokenJwkSchema, publicLogJwkSchema]);

/** The public half of a key that is no log's, as JWKS publishes those of tokens. @see RFC 7517, section 4; RFC 7518, section 6.2.1 */
export type PublicTokenJwk = z.infer<typeof publicTokenJwkSchema>;
/** The public half of a log key. @see RFC 8037, section 2 */
export type PublicLogJwk = z.infer<typeof publicLogJwkSchema>;
export type PublicJwk = PublicTokenJwk | PublicLogJwk;

/**
 * Makes a key pair and seals its private half: a row to write together with the entry that tells of it. Log keys are
 * Ed25519, all others ES256; the id is the RFC 7638 thumbprint.
 */
export async function newSigningKey(
  { sealer, now }: NewSigningKeyDeps,
  use: KeyUse,
  status: "next" | "active",
): Promise<SigningKeyRow> {
  const { privateKey } =
    use.purpose === "log"
      ? await generateKeyPair("ed25519")
      : await generateKeyPair("ec", { namedCurve: "P-256" });
  const jwk = use.purpose === "log" ? await publicLogJwk(privateKey) : await publicTokenJwk(privateKey);
  const plaintext = privateKey.export({ format: "der", type: "pkcs8" });
  const { dataKeyId, sealed } = sealer.seal(plaintext, contextOf(use, jwk.kid));
  const created = new Date(now());
  return {
    id: jwk.kid,
    purpose: use.purpose,
    log_id: use.purpose === "log" ? use.log : null,
    algorithm: jwk.alg,
    public_jwk: canonicalJson(jwk),
    sealed: Buffer.from(sealed).toString("base64"),
    data_key_id: dataKeyId,
    status,
    created_at: created,
    activated_at: status === "active" ? created : null,
    to_be_signed: null,
    upstream: [],
    not_after: null,
  };
}

/**
 * The private half of a stored key. It opens only for the use and under the id it was made for: a key that was planted
 * in the database, or moved to another log, is never used nor published.
 *
 * @throws KeysUnusableError when it does not open
 */
export async function unsealSigningKey(sealer: Sealer, stored: StoredSigningKey): Promise<KeyObject> {
  const { id, dataKeyId, sealed } = stored;
  const der = await sealer.open(dataKeyId, sealed, contextOf(stored, id)).catch((error: unknown) => {
    if (error instanceof KeysUnusableError) throw error;
    throw new KeysUnusableError(`signing key ${id} can't be opened`, { cause: error });
  });
  return createPrivateKey({ key: Buffer.from(der), format: "der", type: "pkcs8" });
}

/** Signs once with a stored ES256 key: an Ecdsa-Sig-Value in DER. @throws KeysUnusableError when it does not open */
export async function signWithStored(
  sealer: Sealer,
  stored: StoredSigningKey,
  message: Uint8Array,
): Promise<Uint8Array> {
  return sign("sha256", message, await unsealSigningKey(sealer, stored));
}

/** The SubjectPublicKeyInfo of a key, from the public half that its row tells. */
export function publicKeyOf(publicJwk: string): Uint8Array {
  const key = createPublicKey({ key: { ...parsePublicJwk(publicJwk) }, format: "jwk" });
  return key.export({ format: "der", type: "spki" });
}

/** The public half as a key's row tells it; good enough to be shown, never to verify with. */
export function parsePublicJwk(text: string): PublicJwk {
  return publicJwkSchema.parse(JSON.parse(text));
}

/** The public half of a token key, taken from the private one. */
export async function publicTokenJwk(privateKey: KeyObject): Promise<PublicTokenJwk> {
  const { x, y } = createPublicKey(privateKey).export({ format: "jwk" });
  if (x === undefined || y === undefined) throw new TypeError("a token key is on an elliptic curve");
  const key = { kty: "EC", crv: "P-256", x, y } as const;
  return { ...key, kid: await calculateJwkThumbprint(key), alg: "ES256", use: "sig" };
}

/** The public half of a log key, taken from the private one. */
export async function publicLogJwk(privateKey: KeyObject): Promise<PublicLogJwk> {
  const { x } = createPublicKey(privateKey).export({ format: "jwk" });
  if (x === undefined) throw new TypeError("a log key is an Ed25519 key");
  const key = { kty: "OKP", crv: "Ed25519", x } as const;
  return { ...key, kid: await calculateJwkThumbprint(key), alg: "EdDSA", use: "sig" };
}

function contextOf(use: KeyUse, id: string): string {
  return use.purpose === "log"
    ? `signing key ${id} of log ${use.log}`
    : `signing key ${id} of ${usedFor[use.purpose]}`;
}

const usedFor = { token: "tokens", jwt_authority: "JWT-SVIDs", x509_authority: "X.509-SVIDs" } as const;
