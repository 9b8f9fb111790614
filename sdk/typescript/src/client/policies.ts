import { calculateJwkThumbprint, SignJWT } from "jose";
import {
  type PolicyApplicationClaims,
  policyApplicationClaimsSchema,
  policyApplicationType,
} from "../contract/policy-application.ts";
import type { ClientIdentity } from "./client.ts";
import { publicJwkOf } from "./key-pair.ts";
import { newJti, type SignDeps } from "./sign.ts";

/** Signs that a policy is to follow another one in an organization. The hashes are those of the policies' canonical text. */
export async function signPolicyApplication(
  deps: SignDeps,
  { issuer, clientId, key }: ClientIdentity,
  applied: Pick<PolicyApplicationClaims, "organization" | "policy" | "previous" | "proposal">,
): Promise<string> {
  const claims = {
    ...applied,
    iss: clientId,
    sub: clientId,
    aud: issuer,
    iat: Math.floor(deps.now() / 1000),
    jti: newJti(deps),
  } satisfies PolicyApplicationClaims;
  policyApplicationClaimsSchema.parse(claims);
  const kid = await calculateJwkThumbprint(publicJwkOf(key));
  return new SignJWT(claims).setProtectedHeader({ alg: "ES256", typ: policyApplicationType, kid }).sign(key);
}
