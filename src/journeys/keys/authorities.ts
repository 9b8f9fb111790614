import type { LedgerActor } from "@countersign/sdk/contract/ledger-entry";
import { systemLog } from "@countersign/sdk/model/ids";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { readCertificate, sameOctets } from "@countersign/sdk/verify/certificate";
import type { VerifySignature } from "@countersign/sdk/verify/x509-signature";
import { DomainError } from "../../domain/domain-error.ts";
import { newSigningKey, publicKeyOf, signWithStored } from "../../keys/signing-key.ts";
import { sha256 } from "../../ledger/sha256.ts";
import { keepCertificate, listSigningKeys, type StoredX509Authority } from "../../store/signing-keys.ts";
import { type AuthorityRequest, authorityToBeSigned } from "../../svid/authority-certificate.ts";
import { assembleCertificate, newSerial, validityOf } from "../../svid/certificate.ts";
import type { UpstreamAuthority } from "../../svid/upstream-authority.ts";
import type { CreateKeysDeps } from "./create.ts";
import { isKnown, type Rotation, rotateKey } from "./rotate.ts";

export interface AuthorityDeps extends CreateKeysDeps {
  readonly trustDomain: TrustDomain;
  readonly randomBytes: (size: number) => Uint8Array;
  /** Who signs our authorities; undefined: they sign themselves. */
  readonly upstream: UpstreamAuthority | undefined;
  readonly verifySignature: VerifySignature;
}

const anHourMs = 60 * 60_000;
const lifetimeMs = 24 * anHourMs;
/** The parts of an authority's life after which its successor is prepared, and signs in its place. */
const preparedAfter = 1 / 2;
const succeededAfter = 5 / 6;

/**
 * Keeps X.509 authorities as they must be: one that signs; from half of its life on, one that is known and will follow it;
 * and each with its certificate. To be called at every start, and every minute by every replica: of those that find
 * something to do at once, one does it.
 *
 * @returns the rotations that this call made
 * @throws DomainError as AppendEntry does
 */
export async function keepAuthorities(deps: AuthorityDeps, by: LedgerActor): Promise<readonly Rotation[]> {
  await certifyAuthorities(deps);
  const { active, next } = await standing(deps);
  const nowMs = deps.now();
  if (active === undefined) {
    await prepareAuthority(deps, "active", by);
  } else if (next !== undefined && next.notAfter.getTime() <= nowMs) {
    await withdrawUnused(deps, next, by);
    await prepareAuthority(deps, "next", by);
  } else if (next === undefined && nowMs >= pointOf(active, preparedAfter)) {
    await prepareAuthority(deps, "next", by);
  } else if (next !== undefined && isDue(active, next, nowMs)) {
    const rotation = await rotateKey(deps, { ...active, nextId: next.id }, { by });
    await deps.reloadKeys();
    return "code" in rotation ? [] : [rotation];
  }
  return [];
}

/**
 * Makes an authority that is to follow the one that signs, or the first one: recorded first, then certified.
 *
 * @throws DomainError as AppendEntry does
 */
export async function prepareAuthority(
  deps: AuthorityDeps,
  status: "next" | "active",
  by: LedgerActor,
): Promise<void> {
  const key = await newSigningKey(deps, { purpose: "x509_authority" }, status);
  const nowMs = deps.now();
  const { upstream } = deps;
  const untilMs = Math.min(nowMs + lifetimeMs, upstream?.notAfterMs ?? Number.POSITIVE_INFINITY);
  const publicKey = publicKeyOf(key.public_jwk);
  const parts = { publicKey, serial: newSerial(deps), validity: validityOf(nowMs, untilMs) };
  const toBeSigned = authorityToBeSigned({ ...parts, trustDomain: deps.trustDomain });
  const row = {
    ...key,
    to_be_signed: Buffer.from(toBeSigned).toString("base64"),
    upstream: (upstream?.chain ?? []).map((der) => Buffer.from(der).toString("base64")),
    not_after: parts.validity.until,
  };
  const hashOf = (signed: Uint8Array) => Buffer.from(sha256(signed)).toString("base64url");
  const detail = {
    purpose: key.purpose,
    [status]: key.id,
    expires_at: parts.validity.until.toISOString(),
    ...(upstream && { upstream_claims_hash: hashOf(crossToBeSigned(deps, parts, upstream)) }),
  };
  const claims_hash = hashOf(toBeSigned);
  try {
    await deps.append(systemLog, {
      entry: { type: "key.created", actor: by, claims_hash, detail },
      writes: [{ into: "signing_key", row }],
    });
  } catch (error) {
    // Another process was first, and its authority stands.
    if (!(error instanceof DomainError && error.code === "conflict")) throw error;
  }
  await certifyAuthorities(deps);
}

/** Signs what was recorded and has no certificate yet, also where a process ended between the two. */
async function certifyAuthorities(deps: AuthorityDeps): Promise<void> {
  for (const authority of await listAuthorities(deps)) {
    if (authority.certificate !== null || authority.status === "withdrawn") continue;
    const certified = await certify(deps, authority);
    if (certified !== undefined) {
      const certifiedAt = new Date(deps.now());
      await keepCertificate(deps.db, { id: authority.id, ...certified, certifiedAt });
    } else {
      await withdrawUnused(deps, authority, { kind: "system", id: "key-schedule" });
    }
  }
  await deps.reloadKeys();
}

interface Certified {
  /** Signed by its own key: what the trust bundle holds. */
  readonly certificate: Uint8Array;
  /** For those who know the operator's authority alone: signed by it, then what is between it and the root. */
  readonly upstream: readonly Uint8Array[];
}

/** @returns undefined when whoever was to sign it is not there any more */
async function certify(deps: AuthorityDeps, authority: StoredX509Authority): Promise<Certified | undefined> {
  const { upstream, sealer } = deps;
  const { toBeSigned } = authority;
  const [recorded, ...above] = authority.upstream;
  const [present] = upstream?.chain ?? [];
  const isSame = recorded === undefined || (present !== undefined && sameOctets(recorded, present));
  if (!isSame) return undefined;
  const publicKey = publicKeyOf(authority.publicJwk);
  const signature = await signWithStored(sealer, authority, toBeSigned);
  const certificate = await verified(deps, assembleCertificate(toBeSigned, signature), publicKey, publicKey);
  if (recorded === undefined || upstream === undefined) return { certificate, upstream: [] };
  const { serial, notBeforeMs, notAfterMs } = readCertificate(certificate);
  const validity = { from: new Date(notBeforeMs), until: new Date(notAfterMs) };
  const cross = crossToBeSigned(deps, { publicKey, serial, validity }, upstream);
  const signer = readCertificate(recorded).publicKey;
  const crossed = await verified(deps, assembleCertificate(cross, upstream.sign(cross)), publicKey, signer);
  // Where nothing is above it, the operator's authority is the root, which nobody sends along.
  return {
    certificate,
    upstream: [crossed, ...(above.length === 0 ? [] : [recorded, ...above.slice(0, -1)])],
  };
}

/** The same authority, as the operator's authority certifies it: it follows from what is recorded of both. */
function crossToBeSigned(
  { trustDomain }: AuthorityDeps,
  parts: Pick<AuthorityRequest, "publicKey" | "serial" | "validity">,
  { issuer }: UpstreamAuthority,
): Uint8Array {
  return authorityToBeSigned({ ...parts, trustDomain, issuer });
}

/** What does not say what was recorded never leaves. @throws Error */
async function verified(
  { verifySignature }: AuthorityDeps,
  certificate: Uint8Array,
  publicKey: Uint8Array,
  signer: Uint8Array,
): Promise<Uint8Array> {
  const read = readCertificate(certificate);
  const holds = await verifySignature({
    algorithm: read.signatureAlgorithm,
    publicKey: signer,
    message: read.toBeSigned,
    signature: read.signature,
  });
  if (!holds || !sameOctets(read.publicKey, publicKey))
    throw new Error("the authority's certificate is not what was to be signed");
  return certificate;
}

async function withdrawUnused(
  { append }: AuthorityDeps,
  { id, purpose, status }: StoredX509Authority,
  by: LedgerActor,
): Promise<void> {
  const detail = { purpose, withdrawn: id };
  await append(systemLog, {
    entry: { type: "key.withdrawn", actor: by, detail },
    writes: [{ set: "signing_key", id, from: [status], to: "withdrawn" }],
    otherwise: () => ({ type: "mutation.refused", actor: by, action: "keys.withdraw", detail }),
  });
}

function isDue(active: StoredX509Authority, next: StoredX509Authority, nowMs: number): boolean {
  if (next.certificate === null) return false;
  // One that has ended signs nothing: whoever comes after it is better known late than not there.
  if (active.notAfter.getTime() <= nowMs) return true;
  return nowMs >= succeededAtMs(active) && isKnown(next, nowMs);
}

/** When another signs in the place of an authority, if that one is known by then, in milliseconds since the epoch. */
export function succeededAtMs(active: StoredX509Authority): number {
  return pointOf(active, succeededAfter);
}

/** When this part of its life is over, in milliseconds since the epoch. */
function pointOf({ createdAt, notAfter }: StoredX509Authority, part: number): number {
  return createdAt.getTime() + (notAfter.getTime() - createdAt.getTime()) * part;
}

async function standing(deps: AuthorityDeps) {
  const authorities = await listAuthorities(deps);
  const inState = (wanted: string) => authorities.find(({ status }) => status === wanted);
  return { active: inState("active"), next: inState("next") };
}

async function listAuthorities({ db, now }: AuthorityDeps): Promise<readonly StoredX509Authority[]> {
  const keys = await listSigningKeys(db, new Date(now()));
  return keys.filter((key) => key.purpose === "x509_authority");
}
