import { publicJwkOf } from "@countersign/sdk/client/key-pair";
import { SignJWT } from "jose";
import { beforeAll, describe, expect, test } from "vitest";
import { openOwnTokens, verifyOwnToken } from "../../../src/app/own-tokens.ts";
import { issuer, makeParties, type Parties, signToken } from "../../sdk/tokens.ts";

let parties: Parties;
beforeAll(async () => {
  parties = await makeParties();
});

const deps = () => ({ keys: parties.keys, now: Date.now });
const read = (token: string) => verifyOwnToken(deps(), issuer, token);
const soon = () => ({ iat: Math.floor(Date.now() / 1000), exp: Math.floor(Date.now() / 1000) + 300 });

describe("a token of this server", () => {
  test("is read for whichever audience", async () => {
    for (const aud of ["https://mail.example", "https://other.example"]) {
      expect(await read(await signToken(parties, { ...soon(), aud }))).toMatchObject({ aud });
    }
  });

  test("is nothing once it has expired, without any leeway", async () => {
    const { iat } = soon();
    expect(await read(await signToken(parties, { iat: iat - 300, exp: iat - 1 }))).toBeUndefined();
  });

  test("is nothing when it is another's, changed, or no token at all", async () => {
    const good = await signToken(parties, soon());
    const [header, payload] = good.split(".");
    const foreign = await new SignJWT({})
      .setProtectedHeader({ alg: "HS256", typ: "at+jwt" })
      .sign(new Uint8Array(32));
    for (const text of [
      "",
      "text",
      "a.b.c",
      "..",
      `${header}.${payload}.`,
      `${good}x`,
      foreign,
      "{}",
      "eyJ.e30.",
    ]) {
      expect([text, await read(text)]).toEqual([text, undefined]);
    }
    expect(await verifyOwnToken(deps(), "https://elsewhere.example", good)).toBeUndefined();
  });
});

test("[KEY-001] a token that was verified before is unknown as soon as its key is withdrawn", async () => {
  const other = await makeParties();
  let published = [parties, other];
  let tell: () => void = () => undefined;
  const own = openOwnTokens({
    tokenKeys: () => ({
      published: published.map(({ issuing }) => ({
        ...publicJwkOf(issuing),
        kid: issuing.x,
        alg: "ES256",
        use: "sig",
      })),
    }),
    onChange: (listener) => {
      tell = listener;
      return () => undefined;
    },
  });
  const token = await signToken(parties, soon(), { kid: parties.issuing.x });
  expect(await verifyOwnToken(own, issuer, token)).toBeDefined();
  expect(await verifyOwnToken(own, issuer, token)).toBeDefined();
  published = [other];
  tell();
  expect(await verifyOwnToken(own, issuer, token)).toBeUndefined();
});
