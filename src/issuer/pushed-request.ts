import { principalOf } from "@countersign/sdk/model/spiffe-id";
import type { IssuerDeps } from "./issuer-deps.ts";
import { orOAuthError } from "./to-oauth-error.ts";

/** Where clients push authorization requests. @see RFC 9126, section 2 */
export const pushPath = "/par";

const scheme = "urn:ietf:params:oauth:request_uri:";
// What the library names requests by: no other text costs a look-up.
const idPattern = /^[A-Za-z0-9_-]{21,64}$/;

/** What an authorization request cites: nothing, a request that its client pushed, or what can't be used. */
export type Cited = "nothing" | "pushed" | "unusable";

/**
 * Uses up the pushed request that the parameters of an authorization request cite. It is used only by the client that
 * pushed it, once.
 *
 * @throws errors.OIDCProviderError when the database is not there
 * @see RFC 9126, section 4
 */
export async function usePushed(
  deps: Pick<IssuerDeps, "isUnavailable" | "trustDomain" | "usePushedRequest">,
  parameters: URLSearchParams,
): Promise<Cited> {
  const cited = parameters.getAll("request_uri");
  if (cited.length === 0) return "nothing";
  const [uri = ""] = cited;
  const [clientId = "", ...others] = parameters.getAll("client_id");
  const id = uri.startsWith(scheme) ? uri.slice(scheme.length) : "";
  const organization = principalOf(deps.trustDomain, clientId)?.organization;
  if (cited.length > 1 || others.length > 0 || organization === undefined || !idPattern.test(id))
    return "unusable";
  const used = await orOAuthError(deps, deps.usePushedRequest({ id, organization, clientId }));
  return used === undefined ? "unusable" : "pushed";
}
