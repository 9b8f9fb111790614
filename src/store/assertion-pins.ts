import type { Database } from "./database.ts";

/** An assertion that may be presented again, by the holder of one key. */
interface AssertionPin {
  /** SHA-256 of what was signed, base64url. */
  readonly hash: string;
  /** RFC 7638 thumbprint of the key. */
  readonly jkt: string;
  readonly expiresAt: Date;
}

/**
 * Binds an assertion to the first key that it is presented under. One statement decides: of two who come at once with
 * two keys one gets it.
 *
 * @returns whether it is bound to this key
 */
export async function pinAssertion(db: Database, { hash, jkt, expiresAt }: AssertionPin): Promise<boolean> {
  const rows = await db.prisma.$queryRaw<{ jkt: string }[]>`
    INSERT INTO assertion_pin (hash, jkt, expires_at) VALUES (${hash}, ${jkt}, ${expiresAt})
    ON CONFLICT (hash) DO UPDATE SET jkt = assertion_pin.jkt RETURNING jkt`;
  return rows[0]?.jkt === jkt;
}

const forgottenAfterMs = 10 * 60_000;

/** Forgets the pins of assertions that expired a while ago: another host, whose clock is behind, may still accept one. */
export async function forgetExpiredPins(db: Database, now: Date): Promise<void> {
  await db.prisma.assertionPin.deleteMany({
    where: { expiresAt: { lt: new Date(now.getTime() - forgottenAfterMs) } },
  });
}
