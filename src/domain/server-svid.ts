import { isKnownAuthority } from "./signing-key.ts";

/** The X.509-SVID that the server shows, as far as it decides when another is due. */
export interface ShownServerSvid {
  /** Id of the authority that signed it. */
  readonly authority: string;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/** What may be said of it, and of who would sign the next one, at a moment. */
export interface ServerSvidStanding {
  /** Whether it verifies by our bundle. */
  readonly verifies: boolean;
  /** Ids of the authorities that are tainted. */
  readonly taintedIds: readonly string[];
  /** Who would sign the next one: since when our bundle has it, and the way to the authority that it rests on, if any. */
  readonly active: {
    readonly certifiedAtMs: number | undefined;
    readonly chain: readonly unknown[];
  };
}

/**
 * Whether the server's SVID gives way to another: when half of its life is over or its authority is tainted. Whoever verifies
 * it by a bundle that is a few minutes old must be able to fetch the next one: while an authority is too new to be known,
 * what the one before it signed is shown for as long as it verifies.
 */
export function isServerSvidDue(
  { authority, issuedAtMs, expiresAtMs }: ShownServerSvid,
  { verifies, taintedIds, active }: ServerSvidStanding,
  nowMs: number,
): boolean {
  if (!verifies) return true;
  const isWanted = nowMs >= (issuedAtMs + expiresAtMs) / 2 || taintedIds.includes(authority);
  // One that rests on another is verified by that one.
  return isWanted && (active.chain.length > 0 || isKnownAuthority(active.certifiedAtMs, nowMs));
}
