/**
 * What can be revoked. A new kind has its seeds in the store's reach, and how its entry names it in
 * verify/verify-revocation-receipt: the compiler asks for both.
 */
export const revocationKinds = ["delegation", "agent", "user", "token"] as const;
export type RevocationKind = (typeof revocationKinds)[number];
