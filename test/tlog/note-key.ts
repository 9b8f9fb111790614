import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { NoteSignature } from "@countersign/sdk/tlog/note";
import {
  formatVerifierKey,
  type SignatureType,
  signatureTypes,
  verifierKey,
} from "@countersign/sdk/tlog/vkey";

/** A key pair that signs notes: a log's, or a witness's. */
export interface NoteKey {
  readonly name: string;
  readonly keyId: number;
  readonly vkey: string;
  readonly publicKey: KeyObject;
  readonly sign: (message: Uint8Array) => Uint8Array;
  /** Signs a message; with a time, as a witness does. */
  readonly signature: (message: string, timeSeconds?: number) => NoteSignature;
}

/** Makes a key pair of this name. */
export function newNoteKey(name: string, type: SignatureType = signatureTypes.ed25519): NoteKey {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const raw = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
  const key = verifierKey(name, raw, type);
  const signature = (message: string, timeSeconds?: number): NoteSignature => {
    const time = Buffer.alloc(timeSeconds === undefined ? 0 : 8);
    if (timeSeconds !== undefined) time.writeBigUInt64BE(BigInt(timeSeconds));
    const signed = sign(null, Buffer.from(message), privateKey);
    return { name, keyId: key.id, signature: new Uint8Array(Buffer.concat([time, signed])) };
  };
  return {
    name,
    keyId: key.id,
    vkey: formatVerifierKey(key),
    publicKey,
    sign: (message) => sign(null, message, privateKey),
    signature,
  };
}
