import { z } from "zod";
import { aLog } from "./fields.ts";

/** Proof that an entry stands in a log; hashes are base64, leaf to root. */
export const inclusionProofSchema = z.strictObject({
  log: aLog,
  index: z.int().nonnegative(),
  tree_size: z.int().positive(),
  leaf_hash: z.string().max(64),
  hashes: z.array(z.string().max(64)).max(64),
  checkpoint: z.string().max(16_384),
});
/** Proof that the tree of size `to` only added to the one of size `from`. */
export const consistencyProofSchema = z.strictObject({
  log: aLog,
  from: z.int().nonnegative(),
  to: z.int().nonnegative(),
  hashes: z.array(z.string().max(64)).max(64),
});
