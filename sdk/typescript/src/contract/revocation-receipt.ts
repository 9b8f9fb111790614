import { z } from "zod";
import { aTime, ledgerPositionSchema } from "./fields.ts";

/** What a revocation did: the node that was marked, when, where that is recorded, and how far it reached. */
export const revocationReceiptSchema = z.strictObject({
  revoked: z.strictObject({
    kind: z.enum(["agent", "delegation", "token", "user"]),
    id: z.string().max(128),
  }),
  complete_as_of: aTime,
  ledger: ledgerPositionSchema,
  /** Size of the log with the revocation in it: nothing at this index or beyond rests on what was revoked. */
  tree_size: z.int().positive(),
  /** What ended with it: the delegations below, and the agents they were made to; what is `revoked` is not counted. */
  counts: z.strictObject({ delegations: z.int().nonnegative(), agents: z.int().nonnegative() }),
});
export type RevocationReceiptWire = z.infer<typeof revocationReceiptSchema>;
