import { sign } from "node:crypto";
import { formatVerifierKey, verifierKey } from "@countersign/sdk/tlog/vkey";
import type { StoredLogKey } from "../store/signing-keys.ts";
import type { Sealer } from "./sealer.ts";
import { publicLogJwk, unsealSigningKey } from "./signing-key.ts";

/** Signs one log's checkpoints as a C2SP signed-note key named by the log's origin. */
export interface LogSigner {
  readonly kid: string;
  readonly origin: string;
  /** Unsigned, 32 bits: SHA-256(origin ‖ newline ‖ 1 ‖ public key), its first four bytes. @see C2SP signed-note */
  readonly keyId: number;
  /** What verifies it: `<origin>+<key id>+<key>`. */
  readonly vkey: string;
  /** Ed25519 over the note's text: 64 bytes. */
  readonly sign: (message: Uint8Array) => Uint8Array;
}

/** @throws KeysUnusableError when the stored key does not open */
export async function openLogSigner(sealer: Sealer, stored: StoredLogKey): Promise<LogSigner> {
  const privateKey = await unsealSigningKey(sealer, stored);
  const publicJwk = await publicLogJwk(privateKey);
  const { origin } = stored;
  const { id } = noteKey(origin, publicJwk);
  const vkey = vkeyOf(origin, publicJwk);
  return { kid: publicJwk.kid, origin, keyId: id, vkey, sign: (message) => sign(null, message, privateKey) };
}

/** The verifier key of a log key: what an auditor is given. @see C2SP signed-note, "Verifier keys" */
export function vkeyOf(origin: string, publicJwk: { readonly x: string }): string {
  return formatVerifierKey(noteKey(origin, publicJwk));
}

function noteKey(origin: string, { x }: { readonly x: string }) {
  return verifierKey(origin, Buffer.from(x, "base64url"));
}
