import { claimsHash } from "@countersign/sdk/contract/claims-hash";
import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import { formatCheckpoint } from "@countersign/sdk/tlog/checkpoint";
import { formatNote } from "@countersign/sdk/tlog/note";
import { leafHash, nodeHash } from "@countersign/sdk/tlog/rfc6962";
import { formatTlogProof } from "@countersign/sdk/tlog/tlog-proof";
import { verifyAccessToken } from "@countersign/sdk/verify/verify-access-token";
import { verifyRecordedToken } from "@countersign/sdk/verify/verify-recorded-token";
import { beforeAll, describe, expect, test } from "vitest";
import { sha256 } from "../../src/ledger/sha256.ts";
import { newNoteKey } from "../tlog/note-key.ts";
import { audience, issuer, makeParties, nowMs, type Parties, signToken } from "./tokens.ts";

const origin = "issuer.example/log/default";
const key = newNoteKey(origin);
const trust = { vkeys: [key.vkey] };
let parties: Parties;
let token: string;
beforeAll(async () => {
  parties = await makeParties();
  token = await signToken(parties);
});

const claimsIn = (jwt: string) => JSON.parse(Buffer.from(jwt.split(".")[1] ?? "", "base64url").toString());
const entryOf = (jwt: string, more: object = {}) =>
  canonicalJson({
    v: 1,
    type: "token.issued",
    log: origin,
    claims_hash: claimsHash(claimsIn(jwt)),
    future: "member",
    ...more,
  });

/** An entry, and the proof that it is the second of two. */
function evidenceOf(entry: string) {
  const [first, second] = ["first", entry].map((text) => leafHash(Buffer.from(text)));
  if (first === undefined || second === undefined) throw new Error("two leaves");
  const text = formatCheckpoint({ origin, size: 2, root: nodeHash(first, second), extensions: [] });
  const checkpoint = formatNote({ text, signatures: [key.signature(text)] });
  return { entry, proof: formatTlogProof({ index: 1, inclusion: [first], checkpoint }) };
}

describe("a stranger with the SDK and the log's key", () => {
  test("ties a token to the entry that was committed before it was signed", async () => {
    const position = { origin, index: 1, size: 2, type: "token.issued", signedBy: [key.vkey], witnesses: [] };
    const evidence = evidenceOf(entryOf(token));
    expect(await verifyRecordedToken(token, evidence, trust)).toEqual(position);
    const { claims } = await verifyAccessToken({ keys: parties.keys, now: () => nowMs }, token, {
      issuer,
      audience,
    });
    expect(await verifyRecordedToken(claims, evidence, trust)).toEqual(position);
  });

  test("sees that a token was never recorded, whatever its claims have in common with one that was", async () => {
    const evidence = evidenceOf(entryOf(token));
    for (const change of [
      { scope: "mail.send" },
      { exp: nowMs / 1000 + 301 },
      { extra: true },
      { txn: undefined },
    ]) {
      const forged = await signToken(parties, change);
      await expect(verifyRecordedToken(forged, evidence, trust)).rejects.toMatchObject({
        code: "entry_mismatch",
      });
    }
    const silent = evidenceOf(entryOf(token, { claims_hash: undefined }));
    await expect(verifyRecordedToken(token, silent, trust)).rejects.toMatchObject({ code: "entry_mismatch" });
  });

  test("takes no entry that a trusted log does not hold, or holds for another", async () => {
    const evidence = evidenceOf(entryOf(token));
    const other = { vkeys: [newNoteKey(origin).vkey] };
    await expect(verifyRecordedToken(token, evidence, other)).rejects.toMatchObject({
      code: "entry_unproven",
    });
    const unproven = { ...evidence, entry: entryOf(token, { type: "token.refused" }) };
    await expect(verifyRecordedToken(token, unproven, trust)).rejects.toMatchObject({
      code: "entry_unproven",
    });
    const replayed = evidenceOf(entryOf(token, { log: "issuer.example/log/acme" }));
    await expect(verifyRecordedToken(token, replayed, trust)).rejects.toMatchObject({
      code: "entry_mismatch",
    });
  });

  test("is told of an entry that it can't read, of what is no token, and of a key that is none", async () => {
    const evidence = evidenceOf(entryOf(token));
    const newer = evidenceOf(entryOf(token, { v: 2 }));
    await expect(verifyRecordedToken(token, newer, trust)).rejects.toMatchObject({
      code: "entry_unreadable",
    });
    for (const none of ["", "a.b.c", `a.${Buffer.from('{"sub":"\\ud800"}').toString("base64url")}.c`]) {
      await expect(verifyRecordedToken(none, evidence, trust)).rejects.toMatchObject({ code: "malformed" });
    }
    await expect(verifyRecordedToken(token, evidence, { vkeys: ["x"] })).rejects.toThrow(TypeError);
  });
});

test("the claims hash is the base64url SHA-256 of the RFC 8785 form, whatever the order and the hash function", () => {
  // printf '{"a":2,"b":1}' | openssl dgst -sha256 -binary | basenc --base64url
  const hash = "02JqwwqH5vemQoIzs8aCmZdoZfpVCOQmfFQVx2r3p3I";
  expect(claimsHash({ b: 1, a: 2 })).toBe(hash);
  expect(claimsHash({ a: 2, b: 1 }, sha256)).toBe(hash);
});
