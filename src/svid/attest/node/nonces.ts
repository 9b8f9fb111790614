import { createHmac, timingSafeEqual } from "node:crypto";
import type { Write } from "../../../store/write.ts";

export interface NoncesDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly randomBytes: (size: number) => Uint8Array;
  /** The same for every server of the installation. */
  readonly secret: Uint8Array;
  /** What remembers this value until then, in the commit that it is good for. @throws UsedBefore */
  readonly useUp: (value: string, expiresAt: Date) => Promise<Write>;
}

/** Values that a machine signs to show that it holds a key: ours, good once, for a minute. */
export interface Nonces {
  readonly next: () => { readonly nonce: string; readonly expiresAtMs: number };
  /** Whether it is one, and not over; it may have been used. */
  readonly isOurs: (nonce: string) => boolean;
  /** What uses it up in the commit that it is good for; undefined for one that is none, or over. @throws UsedBefore */
  readonly use: (nonce: string) => Promise<Write | undefined>;
}

const lifetimeMs = 60_000;
const headBytes = 8 + 16;

/** A nonce says when it ends and that it is ours; none is kept until it is used. */
export function createNonces({ now, randomBytes, secret, useUp }: NoncesDeps): Nonces {
  const macOf = (head: Uint8Array) => createHmac("sha256", secret).update(head).digest();

  /** When it ends; undefined for one that is not ours. */
  function endOf(nonce: string): number | undefined {
    const bytes = Buffer.from(nonce, "base64url");
    // One spelling: another one of the same octets would be remembered as another.
    if (bytes.length !== headBytes + 32 || bytes.toString("base64url") !== nonce) return undefined;
    const head = bytes.subarray(0, headBytes);
    if (!timingSafeEqual(macOf(head), bytes.subarray(headBytes))) return undefined;
    return Number(head.readBigUInt64BE());
  }

  return {
    isOurs: (nonce) => (endOf(nonce) ?? 0) > now(),
    next() {
      const expiresAtMs = now() + lifetimeMs;
      const head = Buffer.alloc(headBytes);
      head.writeBigUInt64BE(BigInt(expiresAtMs));
      head.set(randomBytes(16), 8);
      return { nonce: Buffer.concat([head, macOf(head)]).toString("base64url"), expiresAtMs };
    },
    async use(nonce) {
      const expiresAtMs = endOf(nonce) ?? 0;
      return expiresAtMs > now() ? useUp(nonce, new Date(expiresAtMs)) : undefined;
    },
  };
}
