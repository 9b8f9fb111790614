import type { Logger } from "pino";
import type { IssuerDeps, RefusedRequest, RequestPlace } from "../issuer/issuer-deps.ts";

type Told = Pick<IssuerDeps, "onAuthenticationFailure" | "onRefused" | "onIssued" | "onUnexpectedError">;

/**
 * What the log says of requests to the OAuth endpoints: one line for each that is refused, and at level debug one for
 * each token; ids only, never a token or an assertion.
 */
export function logIssuer(logger: Logger): Told {
  const refused = (refusal: RefusedRequest, message: string) => {
    const { status, error, detail, cause } = refusal;
    const line = { ...namesOf(refusal), error };
    // Its detail is the message of what failed, which goes through the serializer of errors only.
    if (status >= 500) logger.error({ ...line, err: cause }, "request failed");
    // The challenge with which every first proof of an operator's is met: nothing was refused for good.
    else if (error === "use_dpop_nonce") logger.debug({ ...line, detail }, "nonce handed out");
    else logger.info({ ...line, detail }, message);
  };
  return {
    onAuthenticationFailure: ({ reason, ...refusal }) => {
      if (reason === "svid_unrecorded") logger.error({ ...namesOf(refusal), error: reason }, unrecorded);
      else refused({ ...refusal, error: reason }, "authentication failed");
    },
    onRefused: (refusal) => refused(refusal, "request refused"),
    onIssued: ({ txn, jti, ...place }) => logger.debug({ ...namesOf(place), txn, jti }, "token issued"),
    onUnexpectedError: (err, place) => logger.error({ err, ...namesOf(place) }, "request failed"),
  };
}

const unrecorded =
  "an SVID that an authority of this server signed is in no record: unless the database lost it, whoever made it has the authority's key. Taint the authority";

function namesOf({ requestId, endpoint, clientId }: RequestPlace) {
  return { request_id: requestId, endpoint, client: clientId };
}
