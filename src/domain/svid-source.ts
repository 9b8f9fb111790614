import type { Selector } from "@countersign/sdk/model/selector";
import type { SpiffeId, TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import type { CostlyKind } from "./entry-index.ts";

/** A process that called the Workload API, as the kernel told of it when it connected. */
export interface WorkloadPeer {
  /** Never 0: that would be a process outside our namespace. */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** Which container it was in when it connected; undefined outside of pods, and where none are told apart. */
  readonly container?: string | undefined;
  /** Whether that process is still the one under this pid: asked again once everything was read of it. */
  readonly isAlive: () => boolean;
}

/**
 * Finds out what is true of a process.
 *
 * @param wanted which of the costly kinds are found out; all of them, if nothing is said
 * @throws as `SvidSource.attest`
 */
export type AttestWorkload = (
  peer: WorkloadPeer,
  wanted?: ReadonlySet<CostlyKind>,
) => Promise<readonly Selector[]>;

/** An X.509-SVID with what its holder needs to use it. @see X509-SVID, section 2 */
export interface X509Svid {
  readonly spiffeId: SpiffeId;
  /** In DER: the leaf first, then the intermediates up to, and without, the authority in the bundle. */
  readonly certificates: readonly Uint8Array[];
  /** PKCS #8, DER. */
  readonly privateKey: Uint8Array;
  readonly hint: string | undefined;
  readonly expiresAtMs: number;
}

/** A JWT-SVID. @see JWT-SVID, section 3 */
export interface JwtSvid {
  readonly spiffeId: SpiffeId;
  readonly token: string;
  readonly hint: string | undefined;
  readonly expiresAtMs: number;
}

export interface JwtSvidRequest {
  /** At least one. */
  readonly audience: readonly string[];
  /** Undefined: one for each identity that the workload has. */
  readonly spiffeId: SpiffeId | undefined;
  /** The user that asks: what is newly signed counts against it. */
  readonly uid: number;
}

/**
 * Where the Workload API has its answers from: the server itself, or a node that holds what the server gave it. Everything
 * is asked for by selectors, which `attest` alone makes.
 */
export interface SvidSource {
  readonly trustDomain: TrustDomain;
  /**
   * What is true of the caller.
   *
   * @throws DomainError `not_attested` when the caller is gone, was replaced, or can't be read
   */
  readonly attest: (peer: WorkloadPeer) => Promise<readonly Selector[]>;
  /**
   * The kinds of selectors that are found out only while an entry asks for one. There may be more later, never fewer: what
   * was attested until then lacks them, and is attested anew.
   */
  readonly wantedKinds: () => ReadonlySet<CostlyKind>;
  /**
   * One for each RegistrationEntry that matches, and none where none does. Repeated calls give the same SVIDs until half
   * of their life is over.
   *
   * @throws DomainError `ledger_unavailable` when nothing can be issued now
   */
  readonly x509Svids: (workload: readonly Selector[]) => Promise<readonly X509Svid[]>;
  /**
   * As `x509Svids`; a JWT-SVID is given out again for the same identity and audience while half of its life remains, unless
   * whoever presents it first binds it to a key: such a one is nobody else's.
   *
   * @throws DomainError `too_many_requests` to who asks for ever new ones
   */
  readonly jwtSvids: (workload: readonly Selector[], request: JwtSvidRequest) => Promise<readonly JwtSvid[]>;
  /** The bundle of our own trust domain first, then those the workload's entries federate with; none for a workload without entry. */
  readonly bundles: (workload: readonly Selector[]) => Promise<readonly TrustBundle[]>;
  /**
   * Calls the listener whenever an answer to somebody may have changed: a rotation, an entry, a bundle, a stop.
   *
   * @returns a function that ends it
   */
  readonly onChange: (listener: () => void) => () => void;
}
