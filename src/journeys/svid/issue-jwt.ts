import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import { newId } from "@countersign/sdk/model/ids";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { verifyJwtSvid } from "@countersign/sdk/verify/jwt-svid";
import { bundleOfOne } from "@countersign/sdk/verify/trust-bundle";
import type { VerifySignature } from "@countersign/sdk/verify/x509-signature";
import type { JwtSvid } from "../../domain/svid-source.ts";
import { signJwtSvid } from "../../keys/sign-jwt-svid.ts";
import type { TokenKey } from "../../keys/token-key.ts";
import { digestOf } from "../../ledger/sha256.ts";
import { type ByAnotherDeps, demandVerified, mayStillSign } from "./authority.ts";
import { issueTogether, type PreparedSvid, type SvidOutcome } from "./issue-together.ts";
import type { SvidBasis, SvidDeps, SvidGrounds } from "./svid-grounds.ts";

export interface IssueJwtSvidDeps extends SvidDeps, ByAnotherDeps {
  /** The authority that signs now. */
  readonly jwtAuthority: () => TokenKey;
  /** Of our own trust domain, as it is published. */
  readonly trustBundle: () => TrustBundle;
  readonly verifySignature: VerifySignature;
}

/** A JWT-SVID that was signed. */
export interface SignedJwtSvid extends JwtSvid {
  /** Id of the authority. */
  readonly authority: string;
}

export interface IssueJwtSvidRequest extends SvidGrounds {
  /** At least one. */
  readonly audience: readonly string[];
}

/** What became of one of several. */
export type JwtSvidOutcome = SvidOutcome<SignedJwtSvid>;
export type IssuedJwtSvid = Extract<JwtSvidOutcome, { readonly issued: unknown }>["issued"];

/**
 * Issues JWT-SVIDs to the agents of RegistrationEntries: their claims are recorded, then signed, and what was signed is
 * verified as its audience will, before it is given out.
 *
 * @param requests of one organization, one parent and one request to the server
 * @returns one outcome for each
 * @throws as issueTogether does
 * @see JWT-SVID, sections 2 to 4
 */
export async function issueJwtSvids(
  deps: IssueJwtSvidDeps,
  requests: readonly IssueJwtSvidRequest[],
): Promise<ReadonlyMap<IssueJwtSvidRequest, JwtSvidOutcome>> {
  const prepare = (request: IssueJwtSvidRequest, { client }: SvidBasis, nowMs: number) =>
    prepareJwtSvid(deps, request, client.expiresAtMs ?? Number.POSITIVE_INFINITY, nowMs);
  return issueTogether({ ...deps, prepare }, requests);
}

/**
 * The same for one.
 *
 * @throws DomainError `subject_not_active` when agent, owner or entry no longer stand, `not_attested` for a configuration
 *   that is not approved; or as issueTogether does
 */
export async function issueJwtSvid(
  deps: IssueJwtSvidDeps,
  request: IssueJwtSvidRequest,
): Promise<IssuedJwtSvid> {
  const outcome = (await issueJwtSvids(deps, [request])).get(request);
  if (outcome === undefined) throw new Error("nothing became of the request");
  if ("refused" in outcome) throw outcome.refused;
  return outcome.issued;
}

function prepareJwtSvid(
  deps: IssueJwtSvidDeps,
  { entry, audience }: IssueJwtSvidRequest,
  endsAtMs: number,
  nowMs: number,
): PreparedSvid<SignedJwtSvid> {
  const { spiffeId, hint } = entry;
  const authority = deps.jwtAuthority();
  const iat = Math.floor(nowMs / 1000);
  const exp = Math.min(iat + entry.jwtTtlSeconds, Math.floor(endsAtMs / 1000));
  const jti = newId("token", nowMs, deps.randomBytes(16));
  const payload = canonicalJson({ sub: spiffeId, aud: audience, iat, exp, jti });
  const claimsHash = digestOf(payload);
  const expiresAt = new Date(exp * 1000);
  return {
    claimsHash,
    jti,
    kept: { id: jti, claimsHash, expiresAt },
    detail: {
      svid: "jwt",
      authority: authority.kid,
      // An audience is whatever its asker calls it, of any length: what it was can be shown by who has the SVID.
      audience_hash: digestOf(canonicalJson({ aud: audience })),
      expires_at: expiresAt.toISOString(),
    },
    condition: mayStillSign(authority.kid),
    async sign() {
      const token = signJwtSvid(authority, payload);
      const { trustBundle, verifySignature } = deps;
      const verifier = { bundleOf: bundleOfOne(trustBundle()), now: () => nowMs, verifySignature };
      const [expected = ""] = audience;
      await demandVerified(verifyJwtSvid(verifier, token, { audience: expected }), spiffeId);
      return { spiffeId, token, hint, expiresAtMs: exp * 1000, authority: authority.kid };
    },
  };
}
