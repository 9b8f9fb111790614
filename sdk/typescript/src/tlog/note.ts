import { fromBase64, toBase64 } from "./base64.ts";
import { isKeyName, signatureTypes, type VerifierKey } from "./vkey.ts";

/** A text with signatures under it, none of them verified yet. */
export interface Note {
  /** Ends in a newline; it is what is signed. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** One signature line: who claims to have signed, and what follows the key id. */
export interface NoteSignature {
  readonly name: string;
  /** Unsigned, 32 bits. */
  readonly keyId: number;
  readonly signature: Uint8Array;
}

/** A signature that was verified. */
export interface VerifiedSignature {
  readonly key: VerifierKey;
  /** When a witness saw it, in seconds since the epoch; absent for a log's own signature. */
  readonly timeSeconds?: number;
}

const noteCharsMax = 1_000_000;
const signaturesMax = 100;

/** The note that `message` is, or undefined when it is malformed. @see C2SP signed-note, "Format" */
export function parseNote(message: string): Note | undefined {
  if (message.length > noteCharsMax || !message.isWellFormed() || hasControlCharacters(message))
    return undefined;
  const separator = message.lastIndexOf("\n\n");
  if (separator < 0 || !message.endsWith("\n")) return undefined;
  const lines = message.slice(separator + 2, -1).split("\n");
  if (lines.length > signaturesMax) return undefined;
  const signatures = lines.map(parseSignature).filter((signature) => signature !== undefined);
  if (signatures.length !== lines.length) return undefined;
  return { text: message.slice(0, separator + 1), signatures };
}

function parseSignature(line: string): NoteSignature | undefined {
  const [, name, encoded] = /^— ([^ ]+) ([^ ]+)$/.exec(line) ?? [];
  if (name === undefined || encoded === undefined || !isKeyName(name)) return undefined;
  const bytes = fromBase64(encoded);
  if (bytes === undefined || bytes.length < 5) return undefined;
  return { name, keyId: new DataView(bytes.buffer).getUint32(0), signature: bytes.subarray(4) };
}

/** Writes a note down. The text must be a note's text: it ends in a newline and has no other control character. */
export function formatNote({ text, signatures }: Note): string {
  if (!text.endsWith("\n") || !text.isWellFormed() || hasControlCharacters(text)) {
    throw new TypeError("a note's text is well-formed and ends in a newline");
  }
  return `${text}\n${signatures.map(formatSignature).join("")}`;
}

function formatSignature({ name, keyId, signature }: NoteSignature): string {
  const bytes = new Uint8Array(4 + signature.length);
  new DataView(bytes.buffer).setUint32(0, keyId);
  bytes.set(signature, 4);
  return `— ${name} ${toBase64(bytes)}\n`;
}

/**
 * Verifies a note's signatures by these keys. Signatures of unknown keys are ignored, so that a log can rotate its key
 * and witnesses can add theirs; a known key's signature that does not verify spoils the whole note.
 *
 * @returns the signatures that verified, none when no known key signed; undefined when one is wrong
 * @see C2SP signed-note, "Signatures"
 */
export async function verifyNote(
  note: Note,
  keys: readonly VerifierKey[],
): Promise<readonly VerifiedSignature[] | undefined> {
  const verified: VerifiedSignature[] = [];
  for (const { name, keyId, signature } of note.signatures) {
    const key = keys.find((known) => known.name === name && known.id === keyId);
    if (key === undefined || verified.some((earlier) => earlier.key === key)) continue;
    const one = await verifySignature(note.text, key, signature);
    if (one === undefined) return undefined;
    verified.push(one);
  }
  return verified;
}

async function verifySignature(
  text: string,
  key: VerifierKey,
  signature: Uint8Array,
): Promise<VerifiedSignature | undefined> {
  if (key.type === signatureTypes.ed25519) {
    return (await verifyEd25519(key, signature, text)) ? { key } : undefined;
  }
  if (signature.length !== 8 + 64) return undefined;
  const seconds = new DataView(signature.buffer, signature.byteOffset).getBigUint64(0);
  if (seconds > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  const timeSeconds = Number(seconds);
  const valid = await verifyEd25519(key, signature.subarray(8), cosignedMessage(text, timeSeconds));
  return valid ? { key, timeSeconds } : undefined;
}

/** What a witness signs: when it saw which checkpoint. @see C2SP tlog-cosignature, "Ed25519 signed message" */
export function cosignedMessage(noteText: string, timeSeconds: number): string {
  return `cosignature/v1\ntime ${timeSeconds}\n${noteText}`;
}

async function verifyEd25519(key: VerifierKey, signature: Uint8Array, message: string): Promise<boolean> {
  const imported = await crypto.subtle.importKey("raw", new Uint8Array(key.publicKey), "Ed25519", false, [
    "verify",
  ]);
  const octets = new TextEncoder().encode(message);
  return crypto.subtle.verify("Ed25519", imported, new Uint8Array(signature), octets);
}

function hasControlCharacters(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 && code !== 0x0a) return true;
  }
  return false;
}
