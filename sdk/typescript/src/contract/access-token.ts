import { z } from "zod";
import { obligationsMax } from "./obligation.ts";

const actClaimSchema: z.ZodType<{ iss: string; sub: string; sub_profile: string; act?: unknown }> =
  z.looseObject({
    iss: z.string().max(512),
    sub: z.string().max(2048),
    sub_profile: z.string().max(64),
    act: z.lazy(() => actClaimSchema).optional(),
  });

/**
 * The claims of an access token: `typ: at+jwt`, ES256.
 *
 * @see RFC 9068, section 2.2; RFC 8693, section 4.1; RFC 9449, section 6.1; OAuth Actor Profile
 */
export const accessTokenClaimsSchema = z.looseObject({
  iss: z.string().max(512),
  sub: z.string().max(2048),
  sub_profile: z.enum(["user", "ai_agent", "service"]).optional(),
  aud: z.string().max(512),
  client_id: z.string().max(2048),
  org: z.string().max(64),
  jti: z.string().max(128),
  iat: z.int(),
  exp: z.int(),
  scope: z.string().max(8192).optional(),
  txn: z.string().max(128),
  delegation: z.string().max(128).optional(),
  delegation_root: z.string().max(128).optional(),
  cnf: z
    .looseObject({ jkt: z.string().max(128).optional(), "x5t#S256": z.string().max(128).optional() })
    .optional(),
  act: actClaimSchema.optional(),
  may_act: z.looseObject({ sub: z.string().max(2048) }).optional(),
  /** Who vouched for the agent when it got the token, where anybody did: a node of ours that measured it, or its platform. */
  attestation: z.enum(["measured", "platform"]).optional(),
  authorization_details: z.array(z.unknown()).max(64).optional(),
  /** What its audience has to see to, as obligationSchema has them; whoever does not know one refuses the token. */
  obligations: z
    .array(z.looseObject({ kind: z.string().max(64), rule: z.string().max(128) }))
    .max(obligationsMax)
    .optional(),
});

export type AccessTokenClaims = z.infer<typeof accessTokenClaimsSchema>;

/**
 * The `cnf` that binds a token to one key, which whoever presents the token must prove to hold: by DPoP or by
 * certificate.
 *
 * @see RFC 9449, section 6.1; RFC 8705, section 3.1
 */
export type Confirmation = { readonly jkt: string } | { readonly "x5t#S256": string };

/** Names a delegation's id as the subject token of an exchange: an opaque handle, useless to all but its grantee. */
export const delegationTokenType = "urn:countersign:params:oauth:token-type:delegation";

/** RFC 8693, section 3: an access token of this issuer, by either of the names that an exchange may give it. */
export const accessTokenType = "urn:ietf:params:oauth:token-type:access_token";
export const jwtTokenType = "urn:ietf:params:oauth:token-type:jwt";
