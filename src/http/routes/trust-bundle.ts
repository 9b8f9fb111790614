import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { formatTrustBundle } from "@countersign/sdk/verify/trust-bundle";
import type { RequestHandler, Router } from "express";
import { etagOf, isFresh } from "../etag.ts";

export interface TrustBundleDeps {
  /** Of our own trust domain. */
  readonly trustBundle: () => TrustBundle;
}

/**
 * `/spiffe/bundle`: what verifies the SVIDs of this trust domain, for everybody.
 *
 * @see SPIFFE Trust Domain and Bundle, section 5; SPIFFE Federation, section 5
 */
export function mountTrustBundle(router: Router, deps: TrustBundleDeps): void {
  router.get("/spiffe/bundle", sendTrustBundle(deps));
}

/** Sends the bundle as it is now. */
export function sendTrustBundle({ trustBundle }: TrustBundleDeps): RequestHandler {
  return (request, response) => {
    const text = JSON.stringify(formatTrustBundle(trustBundle()));
    const etag = etagOf(text);
    response.setHeader("etag", etag);
    // It may have changed at any time: a cache asks whether it has, which is cheap.
    response.setHeader("cache-control", "no-cache");
    if (isFresh(request, etag)) response.status(304).end();
    else response.type("json").send(text);
  };
}
