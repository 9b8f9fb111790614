import { z } from "zod";
import { obligationsSchema } from "./obligation.ts";

/** Bytes of one entry's canonical JSON at the most: what a C2SP entry bundle's 16-bit length can say. */
export const entryBytesMax = 65_535;

/** UTF-16 code units of a reason at the most. */
export const reasonCharsMax = 1024;

/** Text that survives every encoding it passes through: well-formed UTF-16 without NUL, bounded. */
const text = (charsMax: number) =>
  z
    .string()
    .max(charsMax)
    .refine((value) => value.isWellFormed() && !value.includes("\0"), "must be well-formed text without NUL");
const id = text(128);
const hash = z.string().regex(/^[A-Za-z0-9_-]{43}$/, "must be a base64url SHA-256");

/** What an entry can tell of: a thing that happened, named `<aggregate>.<past tense>`. */
export const ledgerEntryTypes = [
  "installation.created",
  "organization.created",
  "log.created",
  "log.recovered",
  "operator.created",
  "user.created",
  "user.offboarded",
  "agent.created",
  "agent.suspended",
  "agent.resumed",
  "agent.retired",
  "agent.transferred",
  "agent.configured",
  "checksum.approved",
  "checksum.withdrawn",
  "resource.created",
  "client.changed",
  "issuer.trusted",
  "issuer.distrusted",
  "subject.mapped",
  "subject.unmapped",
  "delegation.created",
  "delegation.refused",
  "delegation.revoked",
  "delegation.consented",
  "budget.returned",
  "action.authorized",
  "action.refused",
  "action.reported",
  "token.issued",
  "token.refused",
  "token.revoked",
  "entry.created",
  "entry.deleted",
  "join_token.created",
  "node.attested",
  "node.refused",
  "node.renewed",
  "node.evicted",
  "node.readmitted",
  "svid.issued",
  "svid.refused",
  "federation.added",
  "federation.removed",
  "federation.refreshed",
  "key.created",
  "key.activated",
  "key.tainted",
  "key.withdrawn",
  "policy.applied",
  "policy.proposed",
  "policy.withdrawn",
  "checkpoint.recorded",
  "mutation.refused",
  "request.refused",
  "authentication.failed",
] as const;

/** Who caused an entry. */
export const ledgerActorSchema = z.strictObject({
  kind: z.enum(["agent", "operator", "resource", "node", "user", "system"]),
  id,
});
/** What an entry is about: what was made or changed, or the Agent that something was granted to. */
const ledgerTargetSchema = ledgerActorSchema.extend({
  kind: ledgerActorSchema.shape.kind.exclude(["system"]),
});

/** What the policy said, and how to check that it said so. */
export const ledgerDecisionSchema = z.strictObject({
  effect: z.enum(["allow", "deny", "needs_approval"]),
  /** Id of the policy line that decided, or `default-deny`. */
  rule: id,
  reason: text(reasonCharsMax),
  /** SHA-256 of the policy text that was in force. */
  policy: hash,
  /** Salted SHA-256 of the decision's input, which is kept encrypted beside the log. */
  input: hash,
  obligations: obligationsSchema.optional(),
});

/**
 * One entry of a Log. Ids only: never a name, an address, a token or a secret. Members that do not apply are absent.
 * Its canonical JSON (RFC 8785) is what is hashed, stored and proven.
 */
export const ledgerEntrySchema = z.strictObject({
  v: z.literal(1),
  type: z.enum(ledgerEntryTypes),
  /** Origin of the log that holds it: an entry can't be replayed into another log. */
  log: text(512),
  /** 16 random bytes, base64url: nobody finds an entry's content by guessing at its hash. */
  salt: z.string().regex(/^[A-Za-z0-9_-]{22}$/),
  /** RFC 3339, UTC, milliseconds. */
  time: z.iso.datetime({ precision: 3 }),
  organization: id.optional(),
  actor: ledgerActorSchema,
  target: ledgerTargetSchema.optional(),
  /** `txn` shared by everything that belongs to one transaction. */
  txn: id.optional(),
  /** X-Request-ID of the request that caused it. */
  request: id.optional(),
  /** The Agent that acted; absent when none did. */
  agent: id.optional(),
  /** The User who answers for that Agent; where none acted, for the target. */
  owner: id.optional(),
  /** The User on whose behalf. */
  subject: id.optional(),
  /** The Operator who asserted a User's wish; never that User's own consent. */
  asserted_by: id.optional(),
  delegation: id.optional(),
  /** Delegation ids from the root to the leaf. */
  path: z.array(id).max(16).optional(),
  resource: text(512).optional(),
  scope: z.array(text(128)).max(64).optional(),
  tool: text(256).optional(),
  action: text(256).optional(),
  decision: ledgerDecisionSchema.optional(),
  /** Why it was refused: a stable error code. */
  refusal: z.strictObject({ code: id, reason: text(reasonCharsMax) }).optional(),
  jti: id.optional(),
  /** SHA-256 of the canonical JSON of what was signed: a token afterwards, a report by whom the entry names. */
  claims_hash: hash.optional(),
  attestation: z.enum(["none", "declared", "measured", "platform"]).optional(),
  remediation: text(256).optional(),
  cause: text(256).optional(),
  cost: z.strictObject({ amount: text(32), unit: text(16) }).optional(),
  /** How many like events this entry stands for; absent means one. */
  count: z.int().positive().optional(),
  /** SVIDs of one kind that were issued together, each with what an entry of its own would say. */
  svids: z
    .array(
      z.strictObject({
        agent: id,
        owner: id.optional(),
        /** The RegistrationEntry. */
        entry: id,
        /** Of an X.509-SVID. */
        serial: text(64).optional(),
        /** Of a JWT-SVID, as is the next. */
        jti: id.optional(),
        audience_hash: hash.optional(),
        claims_hash: hash,
        expires_at: z.iso.datetime({ precision: 3 }),
        checksum: text(128).optional(),
      }),
    )
    .min(2)
    .max(64)
    .optional(),
  /** What the type adds: ids, key thumbprints, states, sizes; flat, and without personal data. */
  detail: z
    .record(z.string().max(64), z.union([text(4096), z.number(), z.boolean(), z.array(text(512)).max(256)]))
    .optional(),
});

export type LedgerEntry = z.infer<typeof ledgerEntrySchema>;
export type LedgerEntryType = (typeof ledgerEntryTypes)[number];
export type LedgerDecision = z.infer<typeof ledgerDecisionSchema>;
export type LedgerActor = z.infer<typeof ledgerActorSchema>;

/** What a journey says of an event; the ledger adds version, log, salt and time. */
export type LedgerEntryBody = Omit<LedgerEntry, "v" | "log" | "salt" | "time">;
