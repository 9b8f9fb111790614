import { hash, timingSafeEqual } from "node:crypto";

/** A new secret of a client, and all that is kept of it. */
export interface NewClientSecret {
  /** 256 random bits; logs know it by its prefix, and blot it out. */
  readonly secret: string;
  /** A random salt and the salted hash. */
  readonly verifier: string;
}

const prefix = "csec_";

/** Makes a secret that nobody chose: guessing at it from its hash is hopeless, so a plain hash will do. */
export function newClientSecret(randomBytes: (size: number) => Uint8Array): NewClientSecret {
  const secret = `${prefix}${base64url(randomBytes(32))}`;
  const salt = base64url(randomBytes(16));
  return { secret, verifier: verifierOf(salt, secret) };
}

/** Whether this is the secret that the verifier was made of. */
export function isClientSecret(verifier: string, secret: string): boolean {
  const [salt = ""] = verifier.split(".", 1);
  const expected = Buffer.from(verifier);
  const actual = Buffer.from(verifierOf(salt, secret));
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}

function verifierOf(salt: string, secret: string): string {
  return `${salt}.${hash("sha256", `${salt}.${secret}`, "base64url")}`;
}

function base64url(octets: Uint8Array): string {
  return Buffer.from(octets).toString("base64url");
}
