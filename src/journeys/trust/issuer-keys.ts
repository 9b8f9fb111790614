import type { CryptoKey, JWK } from "jose";
import { importJWK } from "jose";
import { z } from "zod";
import type { TrustedIssuer } from "../../domain/trusted-issuer.ts";

/** The keys of an issuer that are not pinned can't be had now. */
export class KeysUnreachable extends Error {
  override readonly name = "KeysUnreachable";
}

export interface IssuerKeysDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** The JSON that a URL answers with, within bounds of size, time and address. */
  readonly fetchJson: (url: string) => Promise<unknown>;
  /** Where the keys are, of an issuer whose own word on that does not count. */
  readonly jwksUri?: string | undefined;
}

/** The keys of trusted issuers, as they are pinned or published. */
export interface IssuerKeys {
  /**
   * The key that an assertion names, for its algorithm; undefined when the issuer has no such key.
   *
   * @throws KeysUnreachable
   */
  readonly keyOf: (
    trust: Pick<TrustedIssuer, "issuer" | "jwks">,
    kid: string,
    alg: string,
  ) => Promise<CryptoKey | undefined>;
}

const keysMax = 64;
const keptMs = 10 * 60_000;
/** Who makes up key ids never makes us ask more often. */
const unknownKeyIntervalMs = 60_000;
const failedIntervalMs = 10_000;
const issuersMax = 1_000;

const jwkSchema = z.looseObject({
  kty: z.enum(["RSA", "EC", "OKP"]),
  kid: z.string().min(1).max(256),
  use: z.string().max(16).optional(),
  alg: z.string().max(16).optional(),
  n: z.string().max(2048).optional(),
  e: z.string().max(16).optional(),
  crv: z.string().max(16).optional(),
  x: z.string().max(128).optional(),
  y: z.string().max(128).optional(),
});
const setSchema = z.looseObject({ keys: z.array(z.unknown()).max(keysMax) });
const discoverySchema = z.looseObject({ issuer: z.string(), jwks_uri: z.string().max(2048) });
const privateMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

type PublicJwk = z.infer<typeof jwkSchema>;

/**
 * Reads a JWK set that is to be pinned.
 *
 * @returns why it can't be; or its keys
 */
export function parsePinnedKeys(
  text: string,
): { readonly fault: string } | { readonly keys: readonly PublicJwk[] } {
  const set = setSchema.safeParse(jsonOf(text));
  if (!set.success) return { fault: `the keys are no JWK set of at most ${keysMax} keys` };
  const keys: PublicJwk[] = [];
  for (const member of set.data.keys) {
    // Even to look at a private key would be to know it.
    if (typeof member === "object" && member !== null && privateMembers.some((name) => name in member))
      return { fault: "send public keys only; take this private key out of use" };
    const jwk = jwkSchema.safeParse(member);
    if (!jwk.success) return { fault: "each pinned key is an RSA, EC or OKP key with a kid" };
    keys.push(jwk.data);
  }
  if (keys.length === 0) return { fault: "the JWK set has no key" };
  return { keys };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // That it is no JSON is the answer: no set.
    return undefined;
  }
}

interface Held {
  keys: readonly PublicJwk[] | undefined;
  fetchedAtMs: number;
  triedAtMs: number;
  underWay: Promise<void> | undefined;
}

/** Makes the reader of keys. What was published is kept ten minutes; an unknown key has it read again once a minute at most. */
export function createIssuerKeys(deps: IssuerKeysDeps): IssuerKeys {
  const held = new Map<string, Held>();

  function heldOf(issuer: string): Held {
    const known = held.get(issuer);
    if (known !== undefined) return known;
    if (held.size >= issuersMax) held.clear();
    const made = {
      keys: undefined,
      fetchedAtMs: 0,
      triedAtMs: Number.NEGATIVE_INFINITY,
      underWay: undefined,
    };
    held.set(issuer, made);
    return made;
  }

  async function refresh(issuer: string, of: Held): Promise<void> {
    of.underWay ??= fetchInto(issuer, of).finally(() => {
      of.underWay = undefined;
    });
    return of.underWay;
  }

  async function fetchInto(issuer: string, of: Held): Promise<void> {
    of.triedAtMs = deps.now();
    of.keys = await publishedKeys(deps, issuer).catch((error: unknown) => {
      throw new KeysUnreachable(`the keys of ${issuer} can't be read`, { cause: error });
    });
    of.fetchedAtMs = of.triedAtMs;
  }

  async function published(issuer: string, kid: string): Promise<readonly PublicJwk[]> {
    const of = heldOf(issuer);
    const isOld = of.keys === undefined || deps.now() - of.fetchedAtMs >= keptMs;
    if (isOld) {
      const mayTry = of.underWay !== undefined || deps.now() - of.triedAtMs >= failedIntervalMs;
      if (!mayTry) throw new KeysUnreachable(`the keys of ${issuer} could not be read a moment ago`);
      await refresh(issuer, of);
    } else if (!of.keys?.some((key) => key.kid === kid)) {
      if (of.underWay !== undefined || deps.now() - of.triedAtMs >= unknownKeyIntervalMs)
        await refresh(issuer, of);
    }
    return of.keys ?? [];
  }

  return {
    async keyOf({ issuer, jwks }, kid, alg) {
      const keys = jwks === undefined ? await published(issuer, kid) : pinned(jwks);
      const jwk = keys.find((key) => key.kid === kid && fits(key, alg));
      return jwk && importPublic(jwk, alg);
    },
  };
}

function pinned(jwks: string): readonly PublicJwk[] {
  const read = parsePinnedKeys(jwks);
  return "keys" in read ? read.keys : [];
}

async function publishedKeys(deps: IssuerKeysDeps, issuer: string): Promise<readonly PublicJwk[]> {
  const uri = deps.jwksUri ?? (await discoveredUri(deps, issuer));
  const { keys } = setSchema.parse(await deps.fetchJson(uri));
  // A key of a kind that we don't know is none of ours to use, and no reason to do without the others.
  return keys.flatMap((key) => jwkSchema.safeParse(key).data ?? []);
}

/** @see OpenID Connect Discovery 1.0, sections 3 and 4.3 */
async function discoveredUri({ fetchJson }: IssuerKeysDeps, issuer: string): Promise<string> {
  const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const discovered = discoverySchema.parse(await fetchJson(url));
  if (discovered.issuer !== issuer) throw new Error("the document found there is another issuer's");
  return discovered.jwks_uri;
}

const ktyOf: Readonly<Record<string, string>> = {
  RS256: "RSA",
  PS256: "RSA",
  ES256: "EC",
  ES384: "EC",
  EdDSA: "OKP",
};

function fits({ kty, use, alg: meant }: PublicJwk, alg: string): boolean {
  return ktyOf[alg] === kty && (use === undefined || use === "sig") && (meant === undefined || meant === alg);
}

async function importPublic(
  { kty, n, e, crv, x, y }: PublicJwk,
  alg: string,
): Promise<CryptoKey | undefined> {
  const members = { kty, n, e, crv, x, y };
  const jwk = Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
  const key = await importJWK(jwk satisfies JWK, alg).catch(() => undefined);
  return key instanceof Uint8Array ? undefined : key;
}
