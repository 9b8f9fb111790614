import { z } from "zod";
import { parseAudience } from "../model/audience.ts";
import { type IdKind, idPrefixes, parseId, parseLogId, parseOrganizationId } from "../model/ids.ts";
import { scopeOf } from "../model/scope.ts";

/** A string that a parse function of the model accepts, as the branded value it gives. */
const parsedBy = <Value>(parse: (text: string) => Value | undefined, charsMax: number, message: string) =>
  z
    .string()
    .max(charsMax)
    .transform((text, context) => {
      const value = parse(text);
      if (value !== undefined) return value;
      context.addIssue({ code: "custom", message });
      return z.NEVER;
    });

const anId = <Kind extends IdKind>(kind: Kind) =>
  parsedBy((text) => parseId(kind, text), 64, `must be an id that begins with ${idPrefixes[kind]}_`);
const aName = z
  .string()
  .min(1)
  .max(200)
  // Control characters would forge lines in a terminal or a log; a NUL can't be stored at all.
  .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), "must be text without control characters");
const aTime = z.iso.datetime({ offset: true });
const anAudience = parsedBy(parseAudience, 512, "must be an absolute URI in its canonical spelling");
const aScope = z
  .array(z.string().max(128))
  .min(1)
  .max(64)
  .transform((tokens, context) => {
    const scope = scopeOf(tokens);
    if (scope !== undefined) return scope;
    context.addIssue({ code: "custom", message: "must be scope tokens as RFC 6749 section 3.3 spells them" });
    return z.NEVER;
  });
const anOrganization = parsedBy(parseOrganizationId, 63, "must be the id of an organization");
const aLog = parsedBy(parseLogId, 63, "must be the name of a log");
const aSpiffeId = z.string().max(2048).startsWith("spiffe://");
const aStatus = z.string().max(32);

/** A public ES256 key; anything more, a private part above all, is refused. */
export const publicJwkSchema = z.strictObject({
  kty: z.literal("EC"),
  crv: z.literal("P-256"),
  x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  y: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  kid: z.string().max(128).exactOptional(),
  alg: z.literal("ES256").exactOptional(),
  use: z.literal("sig").exactOptional(),
});

/** Where the entry of a change stands in the ledger. */
export const ledgerPositionSchema = z.strictObject({ log: aLog, index: z.int().nonnegative() });
const withLedger = { ledger: ledgerPositionSchema };

/** A page of a list; `next` is the cursor of the following page and absent on the last. */
const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.strictObject({ items: z.array(item).max(200), next: z.string().max(64).optional() });

/** The query of every list: at most `limit` items after `cursor`. */
export const listQuerySchema = z.strictObject({
  cursor: z
    .string()
    .max(64)
    .regex(/^[A-Za-z0-9_-]+$/, "must be the `next` of a page")
    .optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});

export const createUserRequestSchema = z.strictObject({ name: aName, email: z.email().max(254).optional() });
export const userSchema = z.strictObject({
  id: anId("user"),
  organization: anOrganization,
  name: aName,
  email: z.string().max(254).optional(),
  status: aStatus,
  created_at: aTime,
});
export const userCreatedSchema = userSchema.extend(withLedger);
export const userPageSchema = pageOf(userSchema);

export const createAgentRequestSchema = z.strictObject({
  owner: anId("user"),
  name: aName,
  kind: z.enum(["manager", "worker", "tool"]).default("worker"),
  jwk: publicJwkSchema,
});
export const agentSchema = z.strictObject({
  id: anId("agent"),
  client_id: aSpiffeId,
  spiffe_id: aSpiffeId,
  organization: anOrganization,
  owner: anId("user"),
  name: aName,
  kind: z.enum(["manager", "worker", "tool"]),
  status: aStatus,
  created_at: aTime,
});
/** Answer to the creation of an Agent and to each change of its status. */
export const agentChangedSchema = agentSchema.extend(withLedger);
export const agentPageSchema = pageOf(agentSchema);

export const createResourceRequestSchema = z.strictObject({
  audience: anAudience,
  scope: aScope,
  owner: anId("user").optional(),
  /** Whether every User of the organization may grant on it, not its owner alone. */
  open: z.boolean().default(false),
  jwk: publicJwkSchema.optional(),
});
export const resourceSchema = z.strictObject({
  id: anId("resource"),
  client_id: aSpiffeId,
  organization: anOrganization,
  audience: z.string().max(512),
  scope: z.array(z.string().max(128)).max(64),
  owner: anId("user").optional(),
  open: z.boolean(),
  status: aStatus,
  created_at: aTime,
});
export const resourceCreatedSchema = resourceSchema.extend(withLedger);
export const resourcePageSchema = pageOf(resourceSchema);

export const createOperatorRequestSchema = z.strictObject({ name: aName, jwk: publicJwkSchema });
export const operatorSchema = z.strictObject({
  id: anId("operator"),
  client_id: aSpiffeId,
  organization: anOrganization,
  name: aName,
  status: aStatus,
  created_at: aTime,
});
export const operatorCreatedSchema = operatorSchema.extend(withLedger);
export const operatorPageSchema = pageOf(operatorSchema);

const aBudget = z.record(z.string().regex(/^[a-z][a-z0-9_]{0,31}$/), z.int().nonnegative());
const onwardTargets = z
  .array(z.strictObject({ agent: anId("agent"), resource: anAudience, scope: aScope }))
  .max(16);
const grantMembers = {
  to_agent: anId("agent"),
  resource: anAudience,
  scope: aScope,
  expires_at: aTime.optional(),
  max_depth: z.int().min(0).max(15).optional(),
  /** RFC 9396; which types there are and what they may hold is for narrowing to say. */
  authorization_details: z.array(z.json()).max(64).optional(),
  budget: aBudget.optional(),
  onward: onwardTargets.optional(),
};
/** A root grant: an operator asserts that the User `from_user` wishes it. */
export const grantRequestSchema = z.strictObject({ from_user: anId("user"), ...grantMembers });
/** A child grant: the grantee of `parent` passes a part of it on, under its own token. */
export const narrowRequestSchema = z.strictObject({ parent: anId("delegation"), ...grantMembers });
export const delegateRequestSchema = z.union([grantRequestSchema, narrowRequestSchema]);
export const delegationSchema = z.strictObject({
  id: anId("delegation"),
  organization: anOrganization,
  root: anId("delegation"),
  parent: anId("delegation").optional(),
  /** Delegation ids from the root to this one. */
  path: z.array(anId("delegation")).max(16),
  subject: anId("user"),
  grantor_agent: anId("agent").optional(),
  grantee_agent: anId("agent"),
  resource: z.string().max(512),
  scope: z.array(z.string().max(128)).max(64),
  authorization_details: z.array(z.unknown()).max(64),
  budget: aBudget,
  onward: onwardTargets,
  max_depth: z.int().nonnegative(),
  expires_at: aTime,
  /** What it comes to: a delegation below a revoked one, or of a suspended agent, is inactive. */
  status: aStatus,
  /** Why it is not active. */
  status_reason: z.string().max(1024).optional(),
  asserted_by: anId("operator").optional(),
  created_at: aTime,
});
export const delegationCreatedSchema = delegationSchema.extend(withLedger);
export const delegationPageSchema = pageOf(delegationSchema);

/** What a revocation did: the node that was marked, when, where that is recorded, and how far it reached. */
export const revocationReceiptSchema = z.strictObject({
  revoked: z.strictObject({ kind: z.enum(["agent", "delegation", "token"]), id: z.string().max(128) }),
  complete_as_of: aTime,
  ledger: ledgerPositionSchema,
  /** Size of the log with the revocation in it: nothing at this index or beyond rests on what was revoked. */
  tree_size: z.int().positive(),
  /** What ended with it: the delegations below, and the agents they were made to; what is `revoked` is not counted. */
  counts: z.strictObject({ delegations: z.int().nonnegative(), agents: z.int().nonnegative() }),
});

export const signingKeySchema = z.strictObject({
  id: z.string().max(128),
  purpose: z.enum(["token", "log"]),
  log: aLog.optional(),
  algorithm: z.enum(["ES256", "EdDSA"]),
  status: z.enum(["next", "active", "retired"]),
  public_jwk: z.record(z.string(), z.string()),
  /** The log key as C2SP signed-note verifiers take it: `<origin>+<hash>+<key>`. */
  vkey: z.string().max(1024).optional(),
  created_at: aTime,
  activated_at: aTime.optional(),
  retired_at: aTime.optional(),
});
export const signingKeyListSchema = z.strictObject({ items: z.array(signingKeySchema).max(1000) });
/** Which keys to rotate; without `purpose` every one. */
export const rotateKeysRequestSchema = z.strictObject({
  purpose: z.enum(["token", "log"]).optional(),
});

/** How the server and all it depends on are, each with a word on what to do where it is not well. */
export const serverStatusSchema = z.strictObject({
  issuer: z.string().max(512),
  organization: anOrganization,
  version: z.string().max(64),
  ready: z.boolean(),
  checks: z
    .array(
      z.strictObject({
        name: z.string().max(64),
        state: z.enum(["ok", "warning", "failed"]),
        detail: z.string().max(1024),
      }),
    )
    .max(64),
});

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

/** RFC 9457 problem details; `code` is stable, `type` is its page. */
export const problemSchema = z.looseObject({
  type: z.string().max(1024),
  title: z.string().max(256),
  status: z.int(),
  code: z.string().max(64),
  detail: z.string().max(4096).optional(),
  request_id: z.string().max(128).optional(),
});

export type PublicJwk = z.infer<typeof publicJwkSchema>;
export type LedgerPosition = z.infer<typeof ledgerPositionSchema>;
export type ListQuery = z.infer<typeof listQuerySchema>;
export type CreateUserRequest = z.infer<typeof createUserRequestSchema>;
export type UserWire = z.infer<typeof userSchema>;
export type CreateAgentRequest = z.infer<typeof createAgentRequestSchema>;
export type AgentWire = z.infer<typeof agentSchema>;
export type CreateResourceRequest = z.infer<typeof createResourceRequestSchema>;
export type ResourceWire = z.infer<typeof resourceSchema>;
export type CreateOperatorRequest = z.infer<typeof createOperatorRequestSchema>;
export type OperatorWire = z.infer<typeof operatorSchema>;
export type GrantRequestWire = z.infer<typeof grantRequestSchema>;
export type NarrowRequestWire = z.infer<typeof narrowRequestSchema>;
export type DelegationWire = z.infer<typeof delegationSchema>;
export type RevocationReceiptWire = z.infer<typeof revocationReceiptSchema>;
export type SigningKeyWire = z.infer<typeof signingKeySchema>;
export type ServerStatusWire = z.infer<typeof serverStatusSchema>;
export type InclusionProofWire = z.infer<typeof inclusionProofSchema>;
export type ConsistencyProofWire = z.infer<typeof consistencyProofSchema>;
export type Problem = z.infer<typeof problemSchema>;
