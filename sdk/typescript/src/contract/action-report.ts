import { z } from "zod";
import { isServerName, isToolName } from "../model/tool-call.ts";
import { anAudience, anId, aScope, aSpiffeId, aTime } from "./fields.ts";

/** What the `typ` header of a signed report says: nothing else is ever taken for one, nor a report for anything else. */
export const actionReportType = "action-report+jwt";

/** The name of an action; spelled as the name of a tool is. */
export const anActionName = z
  .string()
  .max(128)
  .refine(isToolName, "must be 1 to 128 of A-Z a-z 0-9 _ . : / -, and begin with a letter, a digit or _");
/** Which tool of which server. */
export const aToolName = {
  server: z.string().max(512).refine(isServerName, "must be a name, or a URI in its canonical spelling"),
  tool: anActionName,
};
/** A SHA-256, base64url. */
export const aHash = z.string().regex(/^[A-Za-z0-9_-]{43}$/, "must be a base64url SHA-256");
/** How an action ended, as whoever tells knows. */
export const anOutcome = z.enum(["succeeded", "failed", "unknown"]);

const aWord = (charsMax: number) => z.string().regex(new RegExp(`^[A-Za-z0-9._:-]{1,${charsMax}}$`));

/** What was done. Names, ids and hashes only: nothing of it is secret, and nothing is free text. */
const deedSchema = z
  .strictObject({
    /** As /v1/authorize gave it; a Resource that was not told it names the token instead. */
    action_id: anId("action").exactOptional(),
    /** Whose action a Resource saw: the agent's client id. */
    agent: aSpiffeId.exactOptional(),
    action: anActionName,
    scope: aScope,
    resource: anAudience,
    tool_call: z.strictObject({ ...aToolName, arguments_hash: aHash }).exactOptional(),
    outcome: anOutcome,
    started_at: aTime,
    ended_at: aTime,
    error_code: aWord(64).exactOptional(),
    result_hash: aHash.exactOptional(),
    cost: z
      .strictObject({ amount: z.string().regex(/^[0-9]{1,15}(?:\.[0-9]{1,12})?$/), unit: aWord(16) })
      .exactOptional(),
    /** How many rows were read, written or handed on. */
    rows: z.int().nonnegative().exactOptional(),
    usage: z
      .strictObject({ input_tokens: z.int().nonnegative(), output_tokens: z.int().nonnegative() })
      .exactOptional(),
    delegation: anId("delegation").exactOptional(),
    /** Of the access token that was used. */
    jti: anId("token").exactOptional(),
  })
  .refine(
    ({ started_at, ended_at }) => Date.parse(started_at) <= Date.parse(ended_at),
    "it ended before it began",
  );

/**
 * The claims of a report: a JWT of type `action-report+jwt`, ES256, signed with a registered key of whoever reports.
 *
 * @see RFC 7519, section 4.1; RFC 8725, section 3.11
 */
export const actionReportClaimsSchema = z.strictObject({
  /** The client id of whoever reports; `sub` is the same. */
  iss: aSpiffeId,
  sub: aSpiffeId,
  /** The issuer that it is sent to. */
  aud: z.string().max(512),
  iat: z.int(),
  jti: aWord(128),
  report: deedSchema,
});

export type ActionReportClaims = z.output<typeof actionReportClaimsSchema>;
/** What was done, as whoever signs it writes it. */
export type ReportedDeed = z.input<typeof deedSchema>;
