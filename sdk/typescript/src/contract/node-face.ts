import { z } from "zod";
import { selectorCharsMax } from "../model/selector.ts";
import { aChecksum, anId, aSpiffeId, aTime } from "./fields.ts";
import { trustBundleSchema } from "./trust-bundle.ts";

const audienceMax = 64;
const audienceBytesMax = 8_192;

/** Whom a JWT-SVID is for, in the words of who asks: any text that can be told and signed. */
export const jwtSvidAudienceSchema = z
  .string()
  .min(1, "must not be empty")
  .refine(
    (value) => value.isWellFormed() && !/\p{Cc}/u.test(value),
    "must be text without control characters",
  )
  .refine((value) => bytesOf([value]) <= audienceBytesMax, "is too long");

/** Those of one JWT-SVID. */
export const jwtSvidAudiencesSchema = z
  .array(jwtSvidAudienceSchema)
  .min(1, "must name at least one")
  .max(audienceMax, `must name at most ${audienceMax}`)
  .refine((values) => bytesOf(values) <= audienceBytesMax, `must be at most ${audienceBytesMax} bytes`);

function bytesOf(values: readonly string[]): number {
  return values.reduce((sum, value) => sum + new TextEncoder().encode(value).length, 0);
}

// What a node and its server say to one another below `/v1/node`, by the node's X.509-SVID in the handshake.

const base64 = (charsMax: number) =>
  z
    .string()
    .min(1)
    .max(charsMax)
    .regex(/^[A-Za-z0-9+/]+={0,2}$/, "must be base64");
/** SubjectPublicKeyInfo, DER, of a key on P-256. */
const aPublicKey = base64(256);
/** DER: the leaf first. */
const certificates = z.array(base64(24_576)).min(1).max(8);

/** Of the workload's configuration; left out where the node measured none. */
const checksum = aChecksum.optional();

/** At the most in one request. */
export const svidsPerRequestMax = 100;
/** Entries on one page. */
export const nodeEntriesPerPage = 500;

const aBundle = z.strictObject({
  trust_domain: z.string().max(255),
  bundle: trustBundleSchema,
  /** Of a foreign one: a node that hears nothing more believes it so long, and no longer. */
  believed_until: aTime.optional(),
});
/** Of the node's own trust domain first; and the issuer, whose token endpoint binds a JWT-SVID to its first presenter's key. */
export const nodeBundlesSchema = z.strictObject({
  issuer: z.string().max(2048),
  items: z.array(aBundle).min(1).max(4096),
});

export const nodeEvidenceSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("join_token"), token: z.string().min(1).max(64) }),
  z.strictObject({
    kind: z.literal("x509pop"),
    certificates,
    nonce: z.string().min(1).max(256),
    signature: base64(2048),
  }),
  z.strictObject({ kind: z.literal("k8s_psat"), token: z.string().min(1).max(16_384) }),
]);
export type NodeEvidence = z.output<typeof nodeEvidenceSchema>;

export const attestNodeRequestSchema = z.strictObject({
  public_key: aPublicKey,
  evidence: nodeEvidenceSchema,
});
export const nodeNonceSchema = z.strictObject({ nonce: z.string().max(256), expires_at: aTime });
export const nodeSvidSchema = z.strictObject({
  spiffe_id: aSpiffeId,
  certificates,
  expires_at: aTime,
  bundles: nodeBundlesSchema,
});
export const attestedNodeSchema = nodeSvidSchema.extend({ node: anId("node") });
export const renewNodeRequestSchema = z.strictObject({ public_key: aPublicKey });

export const nodeEntriesQuerySchema = z.strictObject({
  /** `as_of` of an earlier answer: only what changed since. */
  since: z.coerce.number<string | number>().int().nonnegative().optional(),
  cursor: anId("entry").optional(),
});
export const nodeEntrySchema = z.strictObject({
  id: anId("entry"),
  agent: anId("agent"),
  spiffe_id: aSpiffeId,
  selectors: z.array(z.string().max(selectorCharsMax)).max(32),
  x509_ttl_seconds: z.int(),
  jwt_ttl_seconds: z.int(),
  dns_names: z.array(z.string().max(253)).max(16),
  hint: z.string().max(64).optional(),
  federates_with: z.array(z.string().max(255)).max(64),
  /** Changes whenever what is held for it is to be issued anew: its agent or owner was stopped, or goes on, or may have other configurations. */
  standing: z.string().max(256),
});
export type NodeEntryWire = z.output<typeof nodeEntrySchema>;
export const nodeEntriesSchema = z.strictObject({
  as_of: z.int().nonnegative(),
  items: z.array(nodeEntrySchema).max(nodeEntriesPerPage),
  /** Ids of those that ended since. */
  ended: z.array(anId("entry")).max(nodeEntriesPerPage),
  next: z.string().max(64).optional(),
});

export const nodeX509RequestSchema = z.strictObject({
  items: z
    .array(z.strictObject({ entry: anId("entry"), public_key: aPublicKey, checksum }))
    .min(1)
    .max(svidsPerRequestMax)
    .refine(
      (items) => new Set(items.map(({ entry, checksum: of }) => `${entry} ${of}`)).size === items.length,
      "must name each entry once, or once with each checksum",
    ),
});
const rests_on = z.array(z.string().max(128)).max(16);
/** One for each that was asked for, in order. */
export const nodeX509Schema = z.strictObject({
  items: z
    .array(
      z.strictObject({
        entry: anId("entry"),
        svid: z.strictObject({ certificates, expires_at: aTime, rests_on }).optional(),
        /** Why there is none. */
        refused: z.string().max(64).optional(),
      }),
    )
    .max(svidsPerRequestMax),
});
export const nodeJwtRequestSchema = z.strictObject({
  entry: anId("entry"),
  audience: jwtSvidAudiencesSchema,
  checksum,
});
export const nodeJwtSchema = z.strictObject({
  spiffe_id: aSpiffeId,
  token: z.string().max(65_536),
  expires_at: aTime,
  rests_on,
});

/**
 * An event of the stream `/v1/node/changes`: ids that something was changed of, whether the entries are to be asked for
 * anew, and whether the bundles are. `lost` says that anything may have changed.
 */
export const nodeChangeSchema = z.strictObject({
  ids: z.array(z.string().max(128)).max(1000),
  bundles: z.boolean(),
  lost: z.boolean(),
});
export type NodeChange = z.output<typeof nodeChangeSchema>;

/**
 * What a machine signs to join by a certificate: for this purpose alone, this nonce, and the key to be certified.
 *
 * @param publicKey SubjectPublicKeyInfo, base64
 */
export function x509popProof(nonce: string, publicKey: string): string {
  return `countersign node x509pop v1\n${nonce}\n${publicKey}\n`;
}
