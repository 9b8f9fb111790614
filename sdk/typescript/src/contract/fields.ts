import { z } from "zod";
import { hexHashPattern, parseAgentChecksum } from "../model/agent-configuration.ts";
import { parseAudience } from "../model/audience.ts";
import {
  type IdKind,
  idPattern,
  idPrefixes,
  organizationPattern,
  parseId,
  parseLogId,
  parseOrganizationId,
} from "../model/ids.ts";
import { scopeOf, scopeTokenPattern } from "../model/scope.ts";
import { parseTrustDomain } from "../model/spiffe-id.ts";

/** A string that a parse function of the model accepts, as the branded value it gives. */
const parsedBy = <Value>(
  parse: (text: string) => Value | undefined,
  charsMax: number,
  message: string | ((text: string) => string),
  described: { readonly pattern: string } | { readonly format: "uri" },
) =>
  z
    .string()
    .max(charsMax)
    .transform((text, context) => {
      const value = parse(text);
      if (value !== undefined) return value;
      context.addIssue({ code: "custom", message: typeof message === "string" ? message : message(text) });
      return z.NEVER;
    })
    // A JSON Schema can't say what a function makes of it.
    .meta({ type: "string", maxLength: charsMax, ...described });

/** An id of one kind, as its branded type. */
export const anId = <Kind extends IdKind>(kind: Kind) => {
  const prefix = `${idPrefixes[kind]}_`;
  const words = (text: string) =>
    text.startsWith(prefix)
      ? "is no id: it is misspelled or cut off"
      : `must be an id that begins with ${prefix}`;
  return parsedBy((text) => parseId(kind, text), 64, words, { pattern: idPattern(kind) });
};
/** A name that people gave: 1 to 200 characters. */
export const aName = z
  .string()
  .min(1)
  .max(200)
  // Control characters and line ends would forge lines in a terminal or a log, and what turns text around would let one name
  // be read as another; a NUL can't be stored at all.
  .refine(
    (text) => text.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u.test(text),
    "must be text without control characters",
  );
/** A time as RFC 3339 writes it, with its offset. */
export const aTime = z.iso.datetime({ offset: true });
/** The URI of a Resource in its one spelling. */
export const anAudience = parsedBy(
  parseAudience,
  512,
  "must be an absolute URI in its canonical spelling, such as https://mail.example.com",
  { format: "uri" },
);
/** The checksum of an Agent's configuration. */
export const aChecksum = parsedBy(parseAgentChecksum, 64, "must be a SHA-256 in lower-case hex", {
  pattern: hexHashPattern,
});
/** Scope tokens; sorted and without repeats once parsed. */
export const aScope = z
  .array(z.string().max(128))
  .min(1)
  .max(64)
  .transform((tokens, context) => {
    const scope = scopeOf(tokens);
    if (scope !== undefined) return scope;
    context.addIssue({ code: "custom", message: "must be scope tokens as RFC 6749 section 3.3 spells them" });
    return z.NEVER;
  })
  .meta({
    type: "array",
    items: { type: "string", maxLength: 128, pattern: scopeTokenPattern },
    minItems: 1,
    maxItems: 64,
  });
/** The tenant that something belongs to. */
export const anOrganization = parsedBy(parseOrganizationId, 63, "must be the id of an organization", {
  pattern: organizationPattern,
});
/** The name of a log: an organization's, or `system`. */
export const aLog = parsedBy(parseLogId, 63, "must be the name of a log", { pattern: organizationPattern });
/** A SPIFFE ID in an answer. */
export const aSpiffeId = z.string().max(2048).startsWith("spiffe://");
/** The name of a trust domain. */
export const aTrustDomain = parsedBy(parseTrustDomain, 255, "must be a trust domain such as example.org", {
  pattern: "^[a-z0-9._-]{1,255}$",
});
/** A state in an answer. */
export const aStatus = z.string().max(32);

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
export type PublicJwk = z.infer<typeof publicJwkSchema>;

/** An index of a log as text has it: one spelling. */
export const indexPattern = String.raw`^(?:0|[1-9]\d{0,14})$`;

/** Where the entry of a change stands in the ledger. */
export const ledgerPositionSchema = z.strictObject({ log: aLog, index: z.int().nonnegative() });
export type LedgerPosition = z.infer<typeof ledgerPositionSchema>;
/** What the answer to every change has beside the thing changed. */
export const withLedger = { ledger: ledgerPositionSchema };

/** The parameters of a path that names one thing of this kind. */
export const idParams = <Kind extends IdKind>(kind: Kind) => z.strictObject({ id: anId(kind) });

/** What is told of every client, whatever it is. */
export const clientFields = <Kind extends "agent" | "operator" | "resource">(kind: Kind) => ({
  id: anId(kind),
  client_id: aSpiffeId,
  organization: anOrganization,
  status: aStatus,
  created_at: aTime,
});

/** A page of a list; `next` is the cursor of the following page and absent on the last. */
export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.strictObject({ items: z.array(item).max(200), next: z.string().max(64).optional() });

/**
 * The query of every list: at most `limit` items after `cursor`.
 *
 * @param cursorPattern what each `next` of the list looks like: a cursor that was cut or is of another list would else be
 *   answered with an empty page, or with a wrong one
 */
export const listQuery = (cursorPattern: string) =>
  z.strictObject({
    cursor: z
      .string()
      .max(64)
      .regex(new RegExp(cursorPattern), "must be the `next` of a page of this list")
      .optional(),
    limit: z.coerce.number<string | number>().int().min(1).max(200).default(50),
  });
export type ListQuery = z.infer<ReturnType<typeof listQuery>>;

/** The query of a list of things of these kinds, continued after one of them. */
export const listQueryOf = (...kinds: readonly IdKind[]) => listQuery(kinds.map(idPattern).join("|"));
/** The query of a list of what is numbered from 1 on. */
export const numberListQuery = listQuery(String.raw`^[1-9]\d{0,8}$`);
/** The query of a list in the order of the log, continued after the index of an entry. */
export const indexListQuery = listQuery(indexPattern);
