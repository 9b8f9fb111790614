import type { RevocationReceiptClaims } from "@countersign/sdk/contract/revocation-receipt";
import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { verifyAccessToken } from "@countersign/sdk/verify/verify-access-token";
import {
  verifyReach,
  verifyRecordedRevocation,
  verifyRevocationReceipt,
} from "@countersign/sdk/verify/verify-revocation-receipt";
import { createLocalJWKSet, decodeProtectedHeader, exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { reachItems } from "../../src/journeys/reach-items.ts";
import type { RevocationReceipt } from "../../src/journeys/revocation-receipt.ts";
import { findRevocation } from "../../src/store/revocations.ts";
import { issuer, issuerKeys, must, organization, sign } from "../journeys/server-process.ts";
import { openWorld, type World } from "../journeys/world.ts";

let world: World;
let receipt: RevocationReceipt;
let claims: RevocationReceiptClaims;
let list: Record<string, unknown>[];
beforeAll(async () => {
  world = await openWorld();
  const { agents, path } = await world.chain(world.alice, 4);
  await world.passOn(must(agents[0]), must(path[0]), must(agents[1]));
  receipt = await world.revoke(must(path[0]));
  claims = await verifyRevocationReceipt(receipt.signed, { issuer, keys: issuerKeys });
  const revocation = must(await findRevocation(world.db, organization, receipt.ledger.index));
  list = [];
  for await (const item of reachItems(world.deps, revocation)) list.push(item);
});
afterAll(() => world.close());

/** The code with which a verification ends. */
async function codeOf(verification: Promise<unknown>): Promise<string> {
  const error = await verification.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof VerificationError) return error.code;
  throw new Error("it was not refused", { cause: error });
}
const verify = (jws: string, keys = issuerKeys) => codeOf(verifyRevocationReceipt(jws, { issuer, keys }));

describe("[REV-003] a forged receipt", () => {
  test("signed by another key, known to nobody or passed off under the issuer's kid", async () => {
    const { privateKey, publicKey } = await generateKeyPair("ES256");
    const { kid } = decodeProtectedHeader(receipt.signed);
    const forged = (header: object) =>
      new SignJWT({ ...claims }).setProtectedHeader({ alg: "ES256", ...header }).sign(privateKey);
    const typ = "revocation-receipt+jwt";
    expect(await verify(await forged({ typ, kid }))).toBe("signature_invalid");
    expect(await verify(await forged({ typ, kid: "another" }))).toBe("key_unknown");
    const theirs = await exportJWK(publicKey);
    expect(await verify(receipt.signed, createLocalJWKSet({ keys: [theirs] }))).toBe("key_unknown");
    const asOurs = createLocalJWKSet({ keys: [{ ...theirs, ...(kid !== undefined && { kid }) }] });
    expect(await verify(receipt.signed, asOurs)).toBe("signature_invalid");
  });

  test("with a claim changed, without a signature, or of another issuer", async () => {
    const [header, , signature] = receipt.signed.split(".");
    const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const fewer = encoded({ ...claims, counts: { delegations: 0, agents: 0 } });
    expect(await verify(`${header}.${fewer}.${signature}`)).toBe("signature_invalid");
    expect(await verify(`${encoded({ alg: "none", typ: "revocation-receipt+jwt" })}.${fewer}.`)).toBe(
      "algorithm_not_accepted",
    );
    const elsewhere = { issuer: "https://other.example", keys: issuerKeys };
    expect(await codeOf(verifyRevocationReceipt(receipt.signed, elsewhere))).toBe("issuer_unknown");
    expect(await verify(`${receipt.signed}${"a".repeat(9_000)}`)).toBe("malformed");
  });
});

describe("[REV-003] one signed thing in the place of another", () => {
  test("a receipt as an access token", async () => {
    const deps = { keys: issuerKeys, now: () => world.clock.nowMs };
    expect(await codeOf(verifyAccessToken(deps, receipt.signed, { issuer }))).toBe("type_not_accepted");
    expect(await world.introspect(world.mailbox, receipt.signed)).toBeUndefined();
  });

  test("an access token as a receipt", async () => {
    const { leaf, presenter } = await world.chain(world.alice, 1);
    const { claims: ofToken } = await world.exchange(presenter, leaf);
    expect(await verify(await sign(ofToken))).toBe("type_not_accepted");
  });

  test("what signs receipts signs no token, and nothing under another type", async () => {
    const { leaf, presenter } = await world.chain(world.alice, 1);
    const { claims: ofToken } = await world.exchange(presenter, leaf);
    const anything = world.deps.signReceipt as (claims: unknown) => string;
    expect(() => anything(ofToken)).toThrow();
    expect(() => anything({ ...claims, aud: "https://mail.example", exp: 4e9 })).toThrow();
    expect(decodeProtectedHeader(world.deps.signReceipt(claims))).toMatchObject({
      alg: "ES256",
      typ: "revocation-receipt+jwt",
    });
  });
});

describe("[REV-002] a list that is not the receipt's", () => {
  const withoutAt = (place: number) => list.filter((_, i) => i !== place);
  test.each([0, 1, 2, 3, 4])("lacks item %i", async (place) => {
    expect(list).toHaveLength(5);
    expect(await codeOf(verifyReach(claims, withoutAt(place)))).toBe("reach_mismatch");
    // As long as it should be: one is shown twice instead.
    const twice = [...withoutAt(place), must(withoutAt(place)[0])];
    expect(await codeOf(verifyReach(claims, twice))).toBe("reach_mismatch");
  });

  test("has one more, is in another order, or was changed", async () => {
    const [first, second, ...rest] = list;
    const changed = { ...must(first), agent: "agt_another" };
    const lists: unknown[][] = [
      [...list, { kind: "agent", id: "agt_another" }],
      [must(second), must(first), ...rest],
      [changed, must(second), ...rest],
      [{ ...must(first), expires_at: "2030-01-01T00:00:00.000Z" }, must(second), ...rest],
      [{ ...must(first), more: 1 }, must(second), ...rest],
      [null, must(second), ...rest],
      [{ ...must(first), id: "\ud800" }, must(second), ...rest],
      [],
    ];
    for (const one of lists) expect(await codeOf(verifyReach(claims, one))).toBe("reach_mismatch");
    // Canonical JSON: the spelling of an item is nobody's business.
    const respelled = list.map((item) => JSON.parse(JSON.stringify(item, Object.keys(item).reverse())));
    await verifyReach(claims, respelled);
    expect(canonicalJson(respelled)).toBe(canonicalJson(JSON.parse(JSON.stringify(list))));
  });

  test("is the receipt's, but the receipt counts otherwise", async () => {
    const counts = { ...claims.counts, agents: claims.counts.agents + 1 };
    expect(await codeOf(verifyReach({ ...claims, counts }, list))).toBe("reach_mismatch");
  });
});

test("[REV-003] an entry that no trusted log holds shows nothing", async () => {
  const evidence = { entry: "{}", proof: "c2sp.org/tlog-proof@v1\nindex 0\n\nno note" };
  expect(await codeOf(verifyRecordedRevocation(claims, evidence, { vkeys: [] }))).toBe("entry_unproven");
});
