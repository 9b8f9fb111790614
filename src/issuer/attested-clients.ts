import { hash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { claimsHash } from "@countersign/sdk/contract/claims-hash";
import { type Principal, parseSpiffeId, principalOf, type SpiffeId } from "@countersign/sdk/model/spiffe-id";
import { verifyJwtSvid } from "@countersign/sdk/verify/jwt-svid";
import { signedPartHash } from "@countersign/sdk/verify/signed-part";
import { bundleOfOne } from "@countersign/sdk/verify/trust-bundle";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { verifyX509Svid } from "@countersign/sdk/verify/x509-svid";
import { errors } from "oidc-provider";
import type { SvidProof } from "../journeys/record/proof.ts";
import type { IssuerDeps } from "./issuer-deps.ts";
import { requestIdOf } from "./request-id.ts";
import { orOAuthError } from "./to-oauth-error.ts";
import { type TrustedAssertion, trustedAssertionOf } from "./trusted-assertion.ts";

/** Names a JWT-SVID as the client assertion. @see draft-ietf-oauth-spiffe-client-auth, section 4.1 */
const jwtSvidAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";

/** The sender of a request, who proved to be an agent by an SVID or by the assertion of a trusted issuer. */
export type AttestedClient = VerifiedSvid | TrustedAssertion;

interface VerifiedSvid {
  readonly spiffeId: SpiffeId;
  readonly proof: SvidProof;
  /** Of one that may be presented again while it lives, but by who holds one key only. */
  readonly assertion?: { readonly hash: string; readonly expiresAt: Date };
}

export type AttestedClientsDeps = Pick<
  IssuerDeps,
  | "assertIdentity"
  | "certificateOf"
  | "demandProven"
  | "isUnavailable"
  | "issuer"
  | "now"
  | "pinAssertion"
  | "svidBundle"
  | "trustDomain"
>;

/** Verifies the SVIDs, and the assertions of trusted issuers, that requests come with, and remembers whose they were. */
export interface AttestedClients {
  /**
   * Reads a form. One with such a proof is given on as that of a client which authenticates by certificate: without the
   * assertion, which the library does not know, and with the client's id.
   *
   * @param path of the endpoint that is asked
   * @throws errors.InvalidClientAuth for an SVID that is none, or not meant for here; what `trustedAssertionOf` throws
   */
  readonly read: (req: IncomingMessage, path: string, form: Buffer) => Promise<Buffer>;
  /** What `read` verified of this request. */
  readonly of: (req: IncomingMessage) => AttestedClient | undefined;
}

/** Nothing is known yet; what is verified goes with its request. */
export function createAttestedClients(deps: AttestedClientsDeps): AttestedClients {
  const senders = new WeakMap<IncomingMessage, AttestedClient>();
  return {
    async read(req, path, form) {
      const parameters = new URLSearchParams(form.toString("latin1"));
      const sender = await presentedIn(deps, req, path, parameters);
      if (sender === undefined) return form;
      senders.set(req, sender);
      // A person's assertion is left for the grant.
      if ("grantedOnce" in sender) parameters.delete("assertion");
      parameters.delete("client_assertion");
      parameters.delete("client_assertion_type");
      parameters.set("client_id", sender.spiffeId);
      return Buffer.from(parameters.toString(), "latin1");
    },
    of: (req) => senders.get(req),
  };
}

async function presentedIn(
  deps: AttestedClientsDeps,
  req: IncomingMessage,
  path: string,
  parameters: URLSearchParams,
): Promise<AttestedClient | undefined> {
  if (parameters.getAll("client_assertion_type").includes(jwtSvidAssertionType))
    return jwtSvidOf(deps, req, path, parameters);
  const trusted = path === "/token" ? await trustedAssertionOf(deps, req, parameters) : undefined;
  if (trusted === undefined) return standingX509SvidOf(deps, req, path, parameters);
  demandAgent(deps, trusted.spiffeId, parameters);
  return trusted;
}

/**
 * Binds the JWT-SVID of a request, or another assertion, for as long as it lives, to the key by which its first presenter
 * proved possession: who took it on the way and comes later gets nothing for it.
 *
 * @param jkt thumbprint of the key of this request's DPoP proof, which was verified
 * @throws errors.InvalidDpopProof without a proof, and for another key's
 */
export async function pinToKey(
  deps: AttestedClientsDeps,
  sender: AttestedClient | undefined,
  jkt: string | undefined,
): Promise<void> {
  if (sender?.assertion === undefined) return;
  if (jkt === undefined)
    throw new errors.InvalidDpopProof("the assertion can be presented again: send a DPoP proof with it");
  if ("boundTo" in sender.assertion) demandKeyOf(sender.assertion, jkt);
  if (!(await orOAuthError(deps, deps.pinAssertion({ ...sender.assertion, jkt }))))
    throw new errors.InvalidDpopProof("the assertion was presented under another key before");
}

/**
 * An assertion that names a key is its holder's alone.
 *
 * @throws errors.InvalidDpopProof for another key's
 */
export function demandKeyOf(
  { boundTo }: { readonly boundTo: string | undefined },
  jkt: string | undefined,
): void {
  if (boundTo !== undefined && boundTo !== jkt)
    throw new errors.InvalidDpopProof("the assertion is bound to another key: send a DPoP proof by that one");
}

async function jwtSvidOf(
  deps: AttestedClientsDeps,
  req: IncomingMessage,
  path: string,
  parameters: URLSearchParams,
): Promise<AttestedClient> {
  const [assertion, ...more] = parameters.getAll("client_assertion");
  // Elsewhere no key is proven, and an assertion that is good for more than one request would be good for anybody's.
  if (path !== "/token")
    throw new errors.InvalidClientAuth("a JWT-SVID authenticates at the token endpoint only");
  const isOnlyOne = more.length === 0 && parameters.getAll("client_assertion_type").length === 1;
  if (assertion === undefined || !isOnlyOne || req.headers.authorization !== undefined)
    throw new errors.InvalidRequest("client authentication must be by one assertion, and nothing besides");
  const { spiffeId, audience, expiresAtSeconds, claims } = await orRefused(
    verifyJwtSvid({ ...deps, bundleOf: bundleOfOne(deps.svidBundle()) }, assertion, {
      audience: deps.issuer,
    }),
  );
  if (audience.length !== 1) throw new errors.InvalidClientAuth("aud is not the issuer as its sole value");
  demandAgent(deps, spiffeId, parameters);
  const expiresAt = new Date(expiresAtSeconds * 1000);
  const proof = {
    kind: "svid",
    id: String(claims.jti ?? ""),
    claimsHash: claimsHash(claims, sha256),
  } as const;
  return { spiffeId, proof, assertion: { hash: signedPartHash(assertion), expiresAt } };
}

/** At the token endpoint the commit says whether it still stands. */
async function standingX509SvidOf(
  deps: AttestedClientsDeps,
  req: IncomingMessage,
  path: string,
  parameters: URLSearchParams,
): Promise<AttestedClient | undefined> {
  const presented = await x509SvidOf(deps, req, parameters);
  if (presented === undefined || path === "/token") return presented;
  const client = demandAgent(deps, presented.spiffeId, parameters);
  const context = { requestId: requestIdOf(req), restsOn: presented.proof };
  await orOAuthError(deps, deps.demandProven({ client, context }));
  return presented;
}

/** An X.509-SVID in the handshake, of a client that names itself and sends no other proof. */
async function x509SvidOf(
  deps: AttestedClientsDeps,
  req: IncomingMessage,
  parameters: URLSearchParams,
): Promise<AttestedClient | undefined> {
  const certificate = deps.certificateOf(req);
  const clientId = parseSpiffeId(parameters.get("client_id") ?? "");
  const isOtherwise = parameters.has("client_assertion") || req.headers.authorization !== undefined;
  if (certificate === undefined || clientId === undefined || isOtherwise) return undefined;
  // A certificate of the client's own registered key names nobody: that one is for the library to judge.
  if (!certificate.subjectAltName?.includes("URI:spiffe://")) return undefined;
  const { spiffeId, leaf } = await orRefused(
    verifyX509Svid({ ...deps, bundleOf: bundleOfOne(deps.svidBundle()) }, [certificate.raw]),
  );
  demandAgent(deps, spiffeId, parameters);
  const id = Buffer.from(leaf.serial).toString("hex");
  return { spiffeId, proof: { kind: "svid", id, claimsHash: hash("sha256", leaf.toBeSigned, "base64url") } };
}

/** Whoever an SVID is of is the client that the request names, if it names one; and an agent, whom alone entries name. */
function demandAgent(
  { trustDomain }: AttestedClientsDeps,
  spiffeId: SpiffeId,
  parameters: URLSearchParams,
): Principal {
  if (parameters.getAll("client_id").some((named) => named !== spiffeId))
    throw new errors.InvalidClientAuth("client_id is another's");
  const principal = principalOf(trustDomain, spiffeId);
  if (principal?.kind !== "agent") throw new errors.InvalidClientAuth("the SVID is no agent's");
  return principal;
}

function sha256(octets: Uint8Array): Uint8Array {
  return hash("sha256", octets, "buffer");
}

async function orRefused<Verified>(verification: Promise<Verified>): Promise<Verified> {
  try {
    return await verification;
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    throw new errors.InvalidClientAuth(`${error.code}: ${error.message}`);
  }
}
