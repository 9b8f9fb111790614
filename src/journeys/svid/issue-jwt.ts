import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import { newId } from "@countersign/sdk/model/ids";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { verifyJwtSvid } from "@countersign/sdk/verify/jwt-svid";
import { bundleOfOne } from "@countersign/sdk/verify/trust-bundle";
import type { VerifySignature } from "@countersign/sdk/verify/x509-signature";
import type { JwtSvid } from "../../domain/svid-source.ts";
import { type JwtSvidClaims, signJwtSvid } from "../../keys/sign-jwt-svid.ts";
import type { TokenKey } from "../../keys/token-key.ts";
import { digestOf } from "../../ledger/sha256.ts";
import { record } from "../record/record.ts";
import { type ByAnotherDeps, demandVerified, mayStillSign, orByAnother } from "./authority.ts";
import { keptSvid, type SvidDeps, type SvidGrounds, svidBasis } from "./svid-grounds.ts";

export interface IssueJwtSvidDeps extends SvidDeps, ByAnotherDeps {
  /** The authority that signs now. */
  readonly jwtAuthority: () => TokenKey;
  /** Of our own trust domain, as it is published. */
  readonly trustBundle: () => TrustBundle;
  readonly verifySignature: VerifySignature;
}

export interface IssuedJwtSvid extends JwtSvid {
  /** Ids of the agent, its owner, the entry, the approval of its configuration and the authority that signed it. */
  readonly restsOn: readonly string[];
}

export interface IssueJwtSvidRequest extends SvidGrounds {
  /** At least one. */
  readonly audience: readonly string[];
}

/**
 * Issues a JWT-SVID to the agent of a RegistrationEntry: its claims are recorded, then signed, and what was signed is
 * verified as its audience will, before it is given out.
 *
 * @throws DomainError `subject_not_active` when agent, owner or entry no longer stand, `not_attested` for a configuration
 *   that is not approved, `conflict` when the authority, and the one after it, were tainted just now, and when the SVID by which
 *   the node asked is spent by now, `ledger_unavailable`; Error when what was signed does not verify
 * @see JWT-SVID, sections 2 to 4
 */
export async function issueJwtSvid(
  deps: IssueJwtSvidDeps,
  request: IssueJwtSvidRequest,
): Promise<IssuedJwtSvid> {
  return orByAnother(deps, () => issueOnce(deps, request));
}

async function issueOnce(deps: IssueJwtSvidDeps, request: IssueJwtSvidRequest): Promise<IssuedJwtSvid> {
  const { entry, audience } = request;
  const basis = await svidBasis(deps, request);
  const { client, trail, conditions, restsOn } = basis;
  const nowMs = deps.now();
  const authority = deps.jwtAuthority();
  const iat = Math.floor(nowMs / 1000);
  const endsAtMs = client.expiresAtMs ?? Number.POSITIVE_INFINITY;
  const exp = Math.min(iat + entry.jwtTtlSeconds, Math.floor(endsAtMs / 1000));
  const claims: JwtSvidClaims = {
    sub: entry.spiffeId,
    aud: audience,
    iat,
    exp,
    jti: newId("token", nowMs, deps.randomBytes(16)),
  };
  const payload = canonicalJson({ ...claims });
  const claims_hash = digestOf(payload);
  const expiresAt = new Date(exp * 1000);
  await record(deps, {
    type: "svid.issued",
    refusedAs: "svid.refused",
    trail,
    outcome: {
      jti: claims.jti,
      claims_hash,
      detail: {
        svid: "jwt",
        entry: entry.id,
        authority: authority.kid,
        ...(entry.checksum !== undefined && { checksum: entry.checksum }),
        // An audience is whatever its asker calls it, of any length: what it was can be shown by who has the SVID.
        audience_hash: digestOf(canonicalJson({ aud: audience })),
        expires_at: expiresAt.toISOString(),
      },
    },
    writes: [keptSvid(request, basis, { id: claims.jti, claimsHash: claims_hash, expiresAt })],
    conditions: [...conditions, mayStillSign(authority.kid)],
    demands: request.context.demands,
  });
  const token = signJwtSvid(authority, payload);
  const { verifySignature } = deps;
  const verifier = { bundleOf: bundleOfOne(deps.trustBundle()), now: () => nowMs, verifySignature };
  const [expected = ""] = audience;
  await demandVerified(verifyJwtSvid(verifier, token, { audience: expected }), entry.spiffeId);
  return {
    spiffeId: entry.spiffeId,
    token,
    hint: entry.hint,
    expiresAtMs: exp * 1000,
    restsOn: [...restsOn, authority.kid],
  };
}
