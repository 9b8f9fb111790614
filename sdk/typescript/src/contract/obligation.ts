import { z } from "zod";

const rule = z.string().min(1).max(128);
const member = z.string().regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/);

/** What an allowance comes with, and the policy line that it comes of: whoever lets the request pass has to see to it. */
export const obligationSchema = z.discriminatedUnion("kind", [
  /** The person behind the request proves again who they are. */
  z.strictObject({ kind: z.literal("step_up"), rule }),
  /** A member of the answer is left out. */
  z.strictObject({ kind: z.literal("redact"), field: member, rule }),
  /** It happens no oftener than this, for each subject and line. */
  z.strictObject({
    kind: z.literal("rate"),
    times: z.int().min(1).max(1_000_000),
    per_seconds: z.int().min(1).max(86_400),
    rule,
  }),
  /** Somebody is told of it. */
  z.strictObject({ kind: z.literal("notify"), whom: member, rule }),
]);

/** Obligations of one decision at the most: what would come with more is denied. */
export const obligationsMax = 32;

/** The obligations of an allowance; absent where it has none. */
export const obligationsSchema = z.array(obligationSchema).min(1).max(obligationsMax);

export type ObligationWire = z.infer<typeof obligationSchema>;
