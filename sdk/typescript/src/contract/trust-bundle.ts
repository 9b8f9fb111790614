import { z } from "zod";

/**
 * The document in which a trust domain publishes its keys. What a consumer does not know must not keep it from reading
 * the rest.
 *
 * @see SPIFFE Trust Domain and Bundle, section 4; X509-SVID, section 6; JWT-SVID, section 6
 */
export const trustBundleSchema = z.looseObject({
  keys: z
    .array(
      z.looseObject({
        kty: z.string().max(16),
        use: z.string().max(64).optional(),
        kid: z.string().min(1).max(256).optional(),
        x5c: z.array(z.string().max(24_576)).max(16).optional(),
      }),
    )
    .max(256),
  spiffe_sequence: z.int().nonnegative().optional(),
  spiffe_refresh_hint: z.int().nonnegative().optional(),
});

export type TrustBundleDocument = z.infer<typeof trustBundleSchema>;
