import { calculateJwkThumbprint, SignJWT } from "jose";
import {
  type ActionReportClaims,
  actionReportClaimsSchema,
  actionReportType,
  type ReportedDeed,
} from "../contract/action-report.ts";
import {
  type AuthorizationWire,
  type AuthorizeActionRequest,
  authorizationSchema,
  authorizeAction as authorizeOperation,
} from "../contract/actions.ts";
import type { ClientDeps, ClientIdentity } from "./client.ts";
import { publicJwkOf } from "./key-pair.ts";
import { rememberNonces, sendProven } from "./send.ts";
import { newJti, type SignDeps, signDpopProof } from "./sign.ts";

/**
 * Asks the issuer whether an action may be done, under the access token that it is to be done with. Only an answer whose
 * `decision` is `allow` is leave to act; an error, whichever, is a no.
 *
 * @param accessToken bound to the client's key, for the Resource where the action will be done
 * @throws RefusedError `invalid_token` when the token is no longer good, UnreachableError; ZodError for a foreign answer
 */
export async function authorizeAction(
  deps: ClientDeps,
  { issuer, key }: ClientIdentity,
  accessToken: string,
  intended: AuthorizeActionRequest,
): Promise<AuthorizationWire> {
  const url = `${issuer}${authorizeOperation.path}`;
  const proven = { ...deps, ...rememberNonces(deps) };
  const response = await sendProven(proven, issuer, url, async (nonce) => ({
    method: "POST",
    headers: {
      authorization: `DPoP ${accessToken}`,
      dpop: await signDpopProof(deps, { key, method: "POST", url, accessToken, nonce }),
      "content-type": "application/json",
    },
    body: JSON.stringify(intended),
  }));
  return authorizationSchema.parse(await response.json());
}

/**
 * Signs what was done, or what a Resource saw an agent do, for the operation reportAction. To be kept until it is
 * answered: the same report sent again is recorded once.
 *
 * @throws ZodError for what is no report
 */
export async function signActionReport(
  deps: SignDeps,
  { issuer, clientId, key }: ClientIdentity,
  deed: ReportedDeed,
): Promise<string> {
  const claims = {
    iss: clientId,
    sub: clientId,
    aud: issuer,
    iat: Math.floor(deps.now() / 1000),
    jti: newJti(deps),
    report: deed,
  } satisfies Record<keyof ActionReportClaims, unknown>;
  actionReportClaimsSchema.parse(claims);
  // The registered name of a key is its thumbprint, whatever its file calls it.
  const kid = await calculateJwkThumbprint(publicJwkOf(key));
  return new SignJWT(claims).setProtectedHeader({ alg: "ES256", typ: actionReportType, kid }).sign(key);
}
