import { z } from "zod";
import { revocationKinds } from "../model/revocation-kind.ts";
import { aTime, ledgerPositionSchema } from "./fields.ts";
import { reachCountsSchema } from "./reach.ts";

/** A signed receipt: a compact JWS over revocationReceiptClaimsSchema. */
export const aReceipt = z.string().max(8192);

/** What a revocation did: the node that was marked, when, where that is recorded, and how far it reached. */
export const revocationReceiptSchema = z.strictObject({
  revoked: z.strictObject({ kind: z.enum(revocationKinds), id: z.string().max(128) }),
  complete_as_of: aTime,
  ledger: ledgerPositionSchema,
  /** Size of the log with the revocation in it: nothing at this index or beyond rests on what was revoked. */
  tree_size: z.int().positive(),
  /** What ended with it: delegations, and the agents that they were made to or that were stopped; but for `revoked`. */
  counts: reachCountsSchema,
  receipt: aReceipt,
});
export type RevocationReceiptWire = z.infer<typeof revocationReceiptSchema>;

/** The `typ` of a signed receipt: whoever takes access tokens refuses it, and who takes receipts refuses those. */
export const revocationReceiptType = "revocation-receipt+jwt";

/** The claims of a signed receipt. Made again it says the same, but for `iat`. */
export const revocationReceiptClaimsSchema = z.strictObject({
  iss: z.string().max(512),
  iat: z.int().nonnegative(),
  org: z.string().max(64),
  /** The kind may be one that a verifier does not know yet. */
  revoked: z.strictObject({ kind: z.string().max(32), id: z.string().max(128) }),
  ledger: z.strictObject({ log: z.string().max(64), index: z.int().nonnegative() }),
  tree_size: z.int().positive(),
  counts: reachCountsSchema,
  /** Root, in base64, and size of the RFC 6962 tree over the list of what it reached. */
  reach_root: z.string().regex(/^[A-Za-z0-9+/]{43}=$/, "must be a base64 SHA-256"),
  reach_size: z.int().positive(),
  complete_as_of: aTime,
});
export type RevocationReceiptClaims = z.infer<typeof revocationReceiptClaimsSchema>;
