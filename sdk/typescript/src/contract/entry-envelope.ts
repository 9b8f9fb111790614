import { z } from "zod";

/** The version of entries that this code reads. */
export const entryVersion = 1;

const hash = z.string().regex(/^[A-Za-z0-9_-]{43}$/);

/**
 * What a reader must know of an entry to verify its log: whose it is, and what it cites. The rest may be of a newer
 * Countersign, whose types and members this version does not know; only who writes an entry is held to the whole
 * shape of `ledgerEntrySchema`.
 */
export const entryEnvelopeSchema = z.looseObject({
  v: z.literal(entryVersion),
  type: z.string().min(1).max(128),
  /** Origin of the log that holds it. */
  log: z.string().max(512),
  decision: z.looseObject({ policy: hash, input: hash }).optional(),
  claims_hash: hash.optional(),
});
export type EntryEnvelope = z.infer<typeof entryEnvelopeSchema>;

const versionedSchema = z.looseObject({ v: z.int().positive() });

/** The version that a value claims to be an entry of, or undefined when it is no entry of any. */
export function entryVersionOf(value: unknown): number | undefined {
  return versionedSchema.safeParse(value).data?.v;
}
