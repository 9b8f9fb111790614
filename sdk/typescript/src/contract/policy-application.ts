import { z } from "zod";
import { aHash } from "./action-report.ts";
import { anId, anOrganization, aSpiffeId } from "./fields.ts";

/** What the `typ` header of a signed application of a policy says: nothing else is ever taken for one. */
export const policyApplicationType = "policy-application+jwt";

/**
 * The claims of whoever brings a policy into force: a JWT of type `policy-application+jwt`, ES256, signed with a
 * registered key of theirs. It says which version follows which, so it is of no use at any other time.
 *
 * @see RFC 7519, section 4.1; RFC 8725, section 3.11
 */
export const policyApplicationClaimsSchema = z.strictObject({
  /** The client id of whoever applies it; `sub` is the same. */
  iss: aSpiffeId,
  sub: aSpiffeId,
  /** The issuer that it is sent to. */
  aud: z.string().max(512),
  iat: z.int(),
  jti: z.string().regex(/^[A-Za-z0-9._:-]{1,128}$/),
  organization: anOrganization,
  /** The hash of the version that is to be in force, and of the one that it follows. */
  policy: aHash,
  previous: aHash,
  /** Of who approves: the proposal. What has it brings nothing into force by itself, and what has not approves nothing. */
  proposal: anId("proposal").optional(),
});

export type PolicyApplicationClaims = z.output<typeof policyApplicationClaimsSchema>;
