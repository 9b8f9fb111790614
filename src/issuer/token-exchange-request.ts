import { accessTokenType, delegationTokenType, jwtTokenType } from "@countersign/sdk/contract/access-token";
import { errors } from "oidc-provider";
import { z } from "zod";
import type { SubjectTokenType } from "../journeys/token/exchange.ts";
import { onlyTarget } from "./request-parameter.ts";

/** @see RFC 8693, section 2.1 */
export const tokenExchangeGrantType = "urn:ietf:params:oauth:grant-type:token-exchange";

/** What the token endpoint hands on; every other parameter is ignored. */
export const tokenExchangeParameters = [
  "resource",
  "audience",
  "scope",
  "authorization_details",
  "requested_token_type",
  "subject_token",
  "subject_token_type",
  "actor_token",
  "actor_token_type",
] as const;

/** Those that may be sent more than once, and are then refused as a target, not as a syntax error. */
export const repeatableParameters = ["resource", "audience"] as const;

const tokenCharsMax = 16_384;
/** Twice what the objects may have in canonical form: blanks, and characters that are spelled out, need room. */
const detailsCharsMax = 16_384;
const aTokenType = z.enum([accessTokenType, jwtTokenType]);
const targets = z.union([z.string(), z.array(z.string())]).optional();

/** What the JSON says is for narrowing to read. */
const someDetails = z
  .string()
  .max(detailsCharsMax)
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: "custom" });
      return z.NEVER;
    }
  });

const parametersSchema = z.object({
  subject_token: z.string().min(1).max(tokenCharsMax),
  subject_token_type: z.enum([delegationTokenType, accessTokenType, jwtTokenType]),
  requested_token_type: aTokenType.default(accessTokenType),
  actor_token: z.string().min(1).max(tokenCharsMax).optional(),
  actor_token_type: aTokenType.optional(),
  resource: targets,
  audience: targets,
  authorization_details: someDetails.optional(),
});

/** What an exchange asks for, apart from scope, in our names. */
export interface TokenExchangeParameters {
  /** What the answer is to call the access token that is issued, which is a JWT. */
  readonly issuedTokenType: string;
  readonly subjectToken: string;
  readonly subjectTokenType: SubjectTokenType;
  readonly actorToken?: string;
  readonly resource?: string;
  /** JSON, as it was sent. */
  readonly authorizationDetails?: unknown;
}

/**
 * Reads the parameters of a token exchange.
 *
 * @throws errors.InvalidRequest for a parameter that is missing, too long, or of an unknown token type;
 *   errors.InvalidTarget when more than one target is named, or one that can't be any;
 *   errors.InvalidAuthorizationDetails for what is no JSON
 * @see RFC 8693, section 2.1 and 2.2.2; RFC 9396, sections 5 and 6
 */
export function parseTokenExchange(parameters: unknown): TokenExchangeParameters {
  const parsed = parametersSchema.safeParse(parameters);
  if (!parsed.success) {
    const named = parsed.error.issues[0]?.path[0] ?? "a parameter";
    if (named === "authorization_details") {
      const reason = `authorization_details is no JSON of at most ${detailsCharsMax} characters`;
      throw new errors.InvalidAuthorizationDetails(reason);
    }
    throw new errors.InvalidRequest(`${String(named)} is missing or not one this server understands`);
  }
  const {
    subject_token,
    subject_token_type,
    requested_token_type,
    actor_token,
    actor_token_type,
    resource,
    audience,
    authorization_details,
  } = parsed.data;
  if ((actor_token === undefined) !== (actor_token_type === undefined)) {
    throw new errors.InvalidRequest("actor_token and actor_token_type come together or not at all");
  }
  const target = onlyTarget([resource ?? [], audience ?? []].flat());
  return {
    issuedTokenType: requested_token_type,
    subjectToken: subject_token,
    subjectTokenType: subject_token_type,
    ...(actor_token !== undefined && { actorToken: actor_token }),
    ...(target !== undefined && { resource: target }),
    ...(authorization_details !== undefined && { authorizationDetails: authorization_details }),
  };
}
