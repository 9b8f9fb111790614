import { systemLog } from "@countersign/sdk/model/ids";
import { type SpiffeId, spiffeIdOfServer, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { ConditionsFailed } from "../../domain/domain-error.ts";
import type { AppendEntry } from "../../ledger/append.ts";
import { orByAnother } from "./authority.ts";
import { prepareX509Svid, type SignX509SvidDeps } from "./sign-x509.ts";

export interface IssueServerSvidDeps extends SignX509SvidDeps {
  readonly append: AppendEntry;
  readonly now: () => number;
  readonly trustDomain: TrustDomain;
}

/** An X.509-SVID of the server itself, without its private key. */
export interface ServerX509Svid {
  readonly spiffeId: SpiffeId;
  /** In DER: the leaf first, then the intermediates. */
  readonly certificates: readonly Uint8Array[];
  readonly expiresAtMs: number;
  /** Id of its authority. */
  readonly authority: string;
}

const lifetimeMs = 60 * 60_000;

/**
 * Issues an X.509-SVID to the server itself, by which others of its trust domain, and foreign ones, know it. As for any
 * other: recorded, then signed, then verified.
 *
 * @param publicKey of the key that this process has: a SubjectPublicKeyInfo on P-256
 * @throws DomainError `conflict` when the authority, and the one after it, were tainted just now, `ledger_unavailable`;
 *   Error when what was signed does not verify
 */
export async function issueServerSvid(
  deps: IssueServerSvidDeps,
  publicKey: Uint8Array,
): Promise<ServerX509Svid> {
  return orByAnother(deps, () => issueOnce(deps, publicKey));
}

async function issueOnce(deps: IssueServerSvidDeps, publicKey: Uint8Array): Promise<ServerX509Svid> {
  const nowMs = deps.now();
  const spiffeId = spiffeIdOfServer(deps.trustDomain);
  const request = { spiffeId, dnsNames: [], publicKey, endsAtMs: nowMs + lifetimeMs };
  const { claimsHash, detail, condition, sign } = prepareX509Svid(deps, request, nowMs);
  const actor = { kind: "system", id: "server" } as const;
  const asked = { actor, action: "svid.issue", detail: { ...detail, spiffe_id: spiffeId } };
  const appended = await deps.append(systemLog, {
    entry: { ...asked, type: "svid.issued", claims_hash: claimsHash },
    writes: [],
    conditions: [condition],
    otherwise: () => ({ ...asked, type: "svid.refused" }),
  });
  if (!appended.committed)
    throw new ConditionsFailed("conflict", "the authority signs nothing more: try again", appended.failed);
  return { ...(await sign()), spiffeId };
}
