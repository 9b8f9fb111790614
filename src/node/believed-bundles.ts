import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { readCertificate } from "@countersign/sdk/verify/certificate";
import { base64Of } from "../domain/base64.ts";
import type { BelievedBundle } from "../domain/federation.ts";
import type { X509Svid } from "../domain/svid-source.ts";
import type { HeldEntry } from "./held-entries.ts";
import type { NodeIdentity } from "./node-identity.ts";
import { type NodeTime, wakeAt } from "./node-loops.ts";

/** Our own, and those that an entry of the workload federates with, for as long as they are believed. */
export function bundlesFor(
  bundles: readonly BelievedBundle[],
  matched: readonly HeldEntry[],
  nowMs: number,
): readonly TrustBundle[] {
  const [own, ...foreign] = bundles;
  if (own === undefined || matched.length === 0) return [];
  const wanted = new Set(matched.flatMap(({ federatesWith }) => federatesWith));
  // One that does not say how long is believed no more: whoever is away can't tell when it is over.
  const believed = foreign.filter(
    ({ bundle, untilMs }) => wanted.has(bundle.trustDomain) && nowMs <= (untilMs ?? 0),
  );
  return [own, ...believed].map(({ bundle }) => bundle);
}

/** Whether each X.509-SVID says of itself that an authority of this bundle, which is our own, has signed it. */
export function areSignedBy(
  own: BelievedBundle | undefined,
  issued: readonly (X509Svid | undefined)[],
): boolean {
  const authorities = new Set(
    own?.bundle.x509Authorities.map((each) => idOf(readCertificate(each).subjectKeyId)),
  );
  const lasts = issued.flatMap((svid) => svid?.certificates.at(-1) ?? []);
  return lasts.every((last) => authorities.has(idOf(readCertificate(last).authorityKeyId)));
}

const idOf = (keyId: Uint8Array | undefined) => base64Of(keyId ?? new Uint8Array());

export interface EndsDeps extends Pick<NodeTime, "now" | "wait"> {
  readonly identity: { readonly current: Pick<NodeIdentity, "bundles"> };
}

/** A timer takes no longer; it looks again then. */
const longestWaitMs = 86_400_000;

/** Calls back whenever one of the bundles is believed no more, though nobody says so: a server that is away can't. */
export function tellsOfEnds(
  { identity, now, wait }: EndsDeps,
  onEnd: () => void,
): { readonly look: () => void; readonly close: () => void } {
  let callOff: () => void = () => undefined;
  let isClosed = false;

  /** To be called when the bundles are others. */
  function look(): void {
    callOff();
    if (isClosed) return;
    const nowMs = now();
    const ends = identity.current.bundles.flatMap(({ untilMs = 0 }) => (untilMs < nowMs ? [] : [untilMs]));
    if (ends.length === 0) return;
    const endMs = ends.reduce((first, atMs) => Math.min(first, atMs));
    callOff = wakeAt({ now, wait }, Math.min(endMs + 1, nowMs + longestWaitMs), () => {
      look();
      if (endMs < now()) onEnd();
    });
  }

  look();
  return {
    look,
    close() {
      isClosed = true;
      callOff();
    },
  };
}
