import { fromBase64, toBase64 } from "./base64.ts";
import { type Sha256, sha256 } from "./rfc6962.ts";

/** Signature type bytes of signed notes. @see C2SP signed-note, "Signature types" */
export const signatureTypes = { ed25519: 1, cosignatureV1: 4 } as const;
export type SignatureType = (typeof signatureTypes)[keyof typeof signatureTypes];

/** A key that verifies signatures on notes. Name and id together say which key made a signature. */
export interface VerifierKey {
  readonly name: string;
  /** Unsigned, 32 bits. Short: it tells keys apart, it does not authenticate them. */
  readonly id: number;
  readonly type: SignatureType;
  /** 32 bytes, Ed25519. */
  readonly publicKey: Uint8Array;
}

const publicKeyBytes = 32;

/** Makes a verifier key and computes its id. `name` must be a key name. @see C2SP signed-note, "Signatures" */
export function verifierKey(
  name: string,
  publicKey: Uint8Array,
  type: SignatureType = signatureTypes.ed25519,
  hash: Sha256 = sha256,
): VerifierKey {
  if (!isKeyName(name)) throw new TypeError("a key name is not empty and has neither space nor plus");
  if (publicKey.length !== publicKeyBytes) throw new TypeError(`an Ed25519 key has ${publicKeyBytes} bytes`);
  const prefix = new TextEncoder().encode(`${name}\n`);
  const preimage = new Uint8Array([...prefix, type, ...publicKey]);
  return { name, id: new DataView(hash(preimage).slice(0, 4).buffer).getUint32(0), type, publicKey };
}

/** The text form of a verifier key, `name+id+base64(type ‖ key)`. @see C2SP signed-note, "Verifier keys" */
export function formatVerifierKey({ name, id, type, publicKey }: VerifierKey): string {
  return `${name}+${id.toString(16).padStart(8, "0")}+${toBase64(new Uint8Array([type, ...publicKey]))}`;
}

/**
 * The verifier key that `text` is, or undefined: also when its id is not that of its name and key, and for types of
 * signature that are not verified here.
 */
export function parseVerifierKey(text: string, hash: Sha256 = sha256): VerifierKey | undefined {
  const [, name, id, encoded] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text) ?? [];
  if (name === undefined || id === undefined || encoded === undefined || !isKeyName(name)) return undefined;
  const [type, ...publicKey] = fromBase64(encoded) ?? [];
  if (type !== signatureTypes.ed25519 && type !== signatureTypes.cosignatureV1) return undefined;
  if (publicKey.length !== publicKeyBytes) return undefined;
  const key = verifierKey(name, new Uint8Array(publicKey), type, hash);
  return key.id === Number.parseInt(id, 16) ? key : undefined;
}

/**
 * The verifier keys that a caller trusts.
 *
 * @throws TypeError for a text that is none: what is trusted must not shrink unseen
 */
export function trustedKeys(texts: readonly string[] = []): VerifierKey[] {
  return texts.map((text) => {
    const key = parseVerifierKey(text);
    if (key === undefined) throw new TypeError("that is not a verifier key (name+id+base64)");
    return key;
  });
}

/** Whether a key may have this name. @see C2SP signed-note, "Format" */
export function isKeyName(name: string): boolean {
  return name !== "" && name.isWellFormed() && !/[\p{White_Space}+]/u.test(name);
}
