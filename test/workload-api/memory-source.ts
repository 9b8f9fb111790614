import { randomBytes, randomUUID, sign } from "node:crypto";
import { parseSelector, type Selector } from "@countersign/sdk/model/selector";
import type { SpiffeId, TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { JwtAuthority, TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose";
import { DomainError } from "../../src/domain/domain-error.ts";
import type { CostlyKind } from "../../src/domain/entry-index.ts";
import type { JwtSvid, SvidSource, WorkloadPeer, X509Svid } from "../../src/domain/svid-source.ts";
import { assembleCertificate, newSerial, validityOf } from "../../src/svid/certificate.ts";
import { svidToBeSigned } from "../../src/svid/svid-certificate.ts";
import { bundleOf, hourMs, makeAuthority, newKey, type TestAuthority } from "../svid/pki.ts";

/** Who gets which identity. */
export interface MemoryEntry {
  readonly selector: string;
  readonly spiffeId: string;
  readonly hint?: string;
}

/** A source of real SVIDs that a test steers: its authority is its own, its entries are those that the test sets. */
export interface MemorySource extends SvidSource {
  entries: readonly MemoryEntry[];
  /** Of other trust domains. */
  federated: readonly TrustBundle[];
  /** Thrown by whatever issues, while it is set. */
  failure: unknown;
  /** Done by whatever issues, before it does. */
  pause: () => Promise<void>;
  /** Held SVIDs are dropped: the next answers have new ones. */
  readonly rotate: () => void;
  /** Tells the listeners. */
  readonly tell: () => void;
  readonly listeners: ReadonlySet<() => void>;
  /** Every peer that was attested. */
  readonly attested: WorkloadPeer[];
  /** Those that attestation looks for. */
  readonly kinds: Set<CostlyKind>;
  readonly issued: () => number;
  readonly signJwt: (claims: Record<string, unknown>, header?: Record<string, unknown>) => Promise<string>;
}

interface JwtKey {
  readonly privateKey: CryptoKey;
  readonly authority: JwtAuthority;
}

export async function newJwtKey(): Promise<JwtKey> {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  return { privateKey, authority: { ...(await exportJWK(publicKey)), kid: randomUUID() } as JwtAuthority };
}

export async function createMemorySource(trustDomain = "example.org"): Promise<MemorySource> {
  const authority = makeAuthority(trustDomain);
  const jwt = await newJwtKey();
  const own = bundleOf(trustDomain, [authority], [jwt.authority]);
  const listeners = new Set<() => void>();
  const held = new Map<string, X509Svid>();
  const kinds = new Set<CostlyKind>();
  let issued = 0;

  const signJwt: MemorySource["signJwt"] = (claims, header = {}) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: "ES256", kid: jwt.authority.kid, ...header })
      .sign(jwt.privateKey);

  const match = (workload: readonly Selector[]) =>
    source.entries.filter(({ selector }) => workload.some((one) => one === selector));

  async function issue<Svid>(make: () => Promise<Svid> | Svid): Promise<Svid> {
    await source.pause();
    if (source.failure !== undefined) throw source.failure;
    issued++;
    return make();
  }

  const source: MemorySource = {
    trustDomain: trustDomain as TrustDomain,
    entries: [],
    federated: [],
    failure: undefined,
    pause: () => Promise.resolve(),
    listeners,
    attested: [],
    kinds,
    wantedKinds: () => kinds,
    issued: () => issued,
    signJwt,
    rotate: () => held.clear(),
    tell: () => {
      for (const listener of listeners) listener();
    },
    async attest(peer) {
      source.attested.push(peer);
      if (!peer.isAlive()) throw new DomainError("not_attested", "it is gone");
      return [`unix:uid:${peer.uid}`, `unix:pid:${peer.pid}`].flatMap((text) => parseSelector(text) ?? []);
    },
    x509Svids: (workload) =>
      Promise.all(
        match(workload).map(async (entry) => {
          const svid = held.get(entry.spiffeId) ?? (await issue(() => x509Svid(authority, entry)));
          held.set(entry.spiffeId, svid);
          return svid;
        }),
      ),
    async jwtSvids(workload, { audience, spiffeId }) {
      const wanted = match(workload).filter((entry) => (spiffeId ?? entry.spiffeId) === entry.spiffeId);
      return Promise.all(wanted.map((entry) => issue(() => jwtSvid(signJwt, entry, audience))));
    },
    async bundles(workload) {
      if (source.failure !== undefined) throw source.failure;
      return match(workload).length > 0 ? [own, ...source.federated] : [];
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return source;
}

function x509Svid(authority: TestAuthority, { spiffeId, hint }: MemoryEntry): X509Svid {
  const { publicKey, privateKey } = newKey();
  const untilMs = Date.now() + hourMs;
  const toBeSigned = svidToBeSigned({
    issuer: authority.issuer,
    spiffeId: spiffeId as SpiffeId,
    dnsNames: [],
    publicKey,
    serial: newSerial({ randomBytes }),
    validity: validityOf(Date.now(), untilMs),
  });
  return {
    spiffeId: spiffeId as SpiffeId,
    certificates: [assembleCertificate(toBeSigned, sign("sha256", toBeSigned, authority.privateKey))],
    privateKey: privateKey.export({ format: "der", type: "pkcs8" }),
    hint,
    expiresAtMs: untilMs,
  };
}

async function jwtSvid(
  signJwt: MemorySource["signJwt"],
  { spiffeId, hint }: MemoryEntry,
  audience: readonly string[],
): Promise<JwtSvid> {
  const expiresAtSeconds = Math.floor(Date.now() / 1000) + 300;
  const token = await signJwt({ sub: spiffeId, aud: audience, exp: expiresAtSeconds });
  return { spiffeId: spiffeId as SpiffeId, token, hint, expiresAtMs: expiresAtSeconds * 1000 };
}
