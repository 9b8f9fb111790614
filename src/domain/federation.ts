import type { FederationId } from "@countersign/sdk/model/ids";
import type { SpiffeId, TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";

/** What is told of a trust domain that is not federated with, whoever asks for what. */
export const noFederation = "there is no federation with this trust domain";

/** Where the bundle of a foreign trust domain is fetched, and how whoever serves it proves what it is. */
export interface BundleEndpoint {
  readonly trustDomain: TrustDomain;
  /** https, without user and password. */
  readonly endpointUrl: string;
  readonly profile: "https_web" | "https_spiffe";
  /** Of the server; with `https_spiffe` alone. */
  readonly endpointSpiffeId: SpiffeId | undefined;
  /** PEM: who signs the server's certificate, with `https_web`; undefined: whoever everybody trusts. */
  readonly ca: string | undefined;
  /** Whether it may be at an address that is not public. */
  readonly privateAllowed: boolean;
}

/** A bundle as it was recorded. */
export interface HeldBundle {
  /** Counts from 1; each change is the next one. */
  readonly revision: number;
  /** Canonical JSON. */
  readonly text: string;
  readonly sequence: number | undefined;
}

/** A bundle, and for how long it is believed by who hears nothing more. */
export interface BelievedBundle {
  readonly bundle: TrustBundle;
  /** Milliseconds since the epoch; undefined for that of our own trust domain. */
  readonly untilMs: number | undefined;
}

/** A foreign trust domain whose SVIDs workloads may verify, for those entries that name it. */
export interface FederatedTrustDomain extends BundleEndpoint {
  readonly id: FederationId;
  /** For how long its bundle is believed after it was last fetched. */
  readonly trustedForSeconds: number;
  readonly status: "active" | "deleted";
  readonly createdAtMs: number;
  /** Undefined until the first was fetched. */
  readonly bundle: HeldBundle | undefined;
  /** When it was last fetched and verified. */
  readonly fetchedAtMs: number | undefined;
  /** When and why the last attempt failed; undefined when it did not. */
  readonly failed: { readonly atMs: number; readonly reason: string } | undefined;
  /** How many attempts have failed since the last one that did not. */
  readonly failures: number;
  readonly dueAtMs: number;
}

/**
 * Until when a bundle that is held is believed, in milliseconds since the epoch: who can't be asked for so long may have
 * given up what is in it, and whoever keeps us from asking must not decide how long it is believed.
 *
 * @param endOfBundleMs when the last of its X.509 authorities ends, where it has one
 */
export function trustEndsAtMs(
  { fetchedAtMs, createdAtMs, trustedForSeconds }: FederatedTrustDomain,
  endOfBundleMs: number | undefined,
): number {
  const unlessFetchedMs = (fetchedAtMs ?? createdAtMs) + trustedForSeconds * 1000;
  return Math.min(unlessFetchedMs, endOfBundleMs ?? Number.POSITIVE_INFINITY);
}

/** More changes than this are not made between two looks. */
const changesMax = 16;
/** Since 2001 a time is a greater number, in seconds and in milliseconds. */
const [secondsLeast, millisecondsLeast] = [1e9, 1e12];

/**
 * Whether a publisher may be at this sequence. It counts its changes, or gives the time of the last one: whoever had its
 * place for a moment must not set it so high that the publisher's own never counts again.
 *
 * @param known undefined where what is known of it has none
 */
export function isSequenceInReach(sequence: number, known: number | undefined, nowMs: number): boolean {
  // What it says the time in stays: in milliseconds, no time in seconds would ever count again.
  const spelled = known ?? sequence;
  const isTime = spelled >= secondsLeast;
  const time = spelled >= millisecondsLeast ? nowMs : nowMs / 1000;
  return sequence === known || sequence <= (isTime ? time : (known ?? 0) + changesMax);
}

/** What a publisher that names no interval is asked after; SPIFFE Trust Domain and Bundle, section 4.1.2, wants some minutes. */
const usualSeconds = 300;
const leastSeconds = 60;
const mostSeconds = 3600;

/** In how many seconds to fetch a bundle again: as its publisher hints, within bounds. */
export function refreshAfterSeconds(hintSeconds: number | undefined): number {
  return Math.min(Math.max(hintSeconds ?? usualSeconds, leastSeconds), mostSeconds);
}

/** In how many seconds to try again after so many failures in a row: ever later, up to an hour. */
export function retryAfterSeconds(failures: number): number {
  return Math.min(leastSeconds * 2 ** Math.min(Math.max(failures - 1, 0), 10), mostSeconds);
}

/**
 * A time within the last fifth before the end of the interval, so that many do not ask one server at once.
 *
 * @param random from 0 to 1
 */
export function dueAfterMs(seconds: number, random: number): number {
  return seconds * 1000 * (1 - random / 5);
}
