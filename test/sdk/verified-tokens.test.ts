import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { createVerifiedTokens } from "@countersign/sdk/verify/verified-tokens";
import { type AccessTokenExpectation, verifyAccessToken } from "@countersign/sdk/verify/verify-access-token";
import { beforeAll, expect, test } from "vitest";
import { audience, issuer, makeParties, nowMs, nowSeconds, type Parties, signToken } from "./tokens.ts";

let parties: Parties;
beforeAll(async () => {
  parties = await makeParties();
});

/** A verifier that counts how often it looks for a key, that is, checks a signature. */
function makeVerifier(bounds: { tokensMax?: number; tokenCharsMax?: number } = {}) {
  const clock = { nowMs };
  let checked = 0;
  const deps = {
    keys: (...asked: Parameters<Parties["keys"]>) => {
      checked++;
      return parties.keys(...asked);
    },
    now: () => clock.nowMs,
    verified: createVerifiedTokens({
      tokensMax: 10,
      tokenCharsMax: 4_096,
      knownForMs: 300_000,
      now: () => clock.nowMs,
      ...bounds,
    }),
  };
  const verify = (token: string, expected: AccessTokenExpectation = { issuer, audience }) =>
    verifyAccessToken(deps, token, expected);
  return { clock, deps, verify, checked: () => checked };
}

const codeOf = (outcome: Promise<unknown>) =>
  outcome.then(
    () => "verified",
    (error: unknown) => (error instanceof VerificationError ? error.code : String(error)),
  );

test("a token that is presented again says the same, and its signature is checked once", async () => {
  const { verify, checked } = makeVerifier();
  const token = await signToken(parties);
  const first = await verify(token);
  expect(await verify(token)).toEqual(first);
  expect(checked()).toBe(1);
});

test("a known token is held against what each request expects, now", async () => {
  const { clock, verify, checked } = makeVerifier();
  const token = await signToken(parties, { exp: nowSeconds + 60 });
  expect(await codeOf(verify(token))).toBe("verified");
  expect(await codeOf(verify(token, { issuer, audience: "https://other.example" }))).toBe(
    "audience_mismatch",
  );
  expect(await codeOf(verify(token, { issuer: "https://elsewhere.example", audience }))).toBe(
    "issuer_unknown",
  );
  const forgotten = Object.assign({ issuer, audience }, { audience: undefined as unknown as string });
  expect(await codeOf(verify(token, forgotten))).toBe("audience_mismatch");
  expect(checked()).toBe(1);
  clock.nowMs += 62_000;
  expect(await codeOf(verify(token))).toBe("verified");
  expect(await codeOf(verify(token, { issuer, audience, leewaySeconds: 0 }))).toBe("expired");
  clock.nowMs += 3_000;
  expect(await codeOf(verify(token))).toBe("expired");
});

test("what does not verify is never known, not even beside what does", async () => {
  const { verify } = makeVerifier();
  const token = await signToken(parties);
  await verify(token);
  const [head, body] = token.split(".");
  const foreign = (await signToken(await makeParties())).split(".")[2];
  for (const bad of [`${head}.${body}.${foreign}`, `${head}.${body}.`, `${token}A`]) {
    for (let time = 0; time < 2; time++) expect(await codeOf(verify(bad))).not.toBe("verified");
  }
  const elsewhere = await signToken(parties, { aud: "https://other.example" });
  for (let time = 0; time < 2; time++) expect(await codeOf(verify(elsewhere))).toBe("audience_mismatch");
});

test("what is being verified while the keys change is not known afterwards", async () => {
  const { deps, verify, checked } = makeVerifier();
  const token = await signToken(parties);
  const verifying = verify(token);
  deps.verified.forget();
  await verifying;
  await verify(token);
  expect(checked()).toBe(2);
});

test("no more tokens are known than fit, and the one unused for longest goes first", async () => {
  const { verify, checked } = makeVerifier({ tokensMax: 2 });
  const [one, two, three] = [await signToken(parties), await signToken(parties), await signToken(parties)];
  for (const token of [one, two, one, three, one]) await verify(token);
  expect(checked()).toBe(3);
  await verify(two);
  expect(checked()).toBe(4);
});

test("a token is verified again once its key may have been withdrawn, and once it is old", async () => {
  const { clock, verify, checked } = makeVerifier();
  const token = await signToken(parties, { exp: nowSeconds + 7 * 86_400 });
  await verify(token);
  clock.nowMs += 299_000;
  await verify(token);
  expect(checked()).toBe(1);
  clock.nowMs += 1_000;
  await verify(token);
  expect(checked()).toBe(2);
  clock.nowMs += 2 * 86_400_000;
  expect(await codeOf(verify(token))).toBe("expired");
});

test("a long token is verified each time, so that few bytes are kept", async () => {
  const { verify, checked } = makeVerifier({ tokenCharsMax: 100 });
  const token = await signToken(parties);
  await verify(token);
  await verify(token);
  expect(checked()).toBe(2);
});
