import { signActionReport } from "@countersign/sdk/client/actions";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { argumentsHash } from "@countersign/sdk/contract/arguments-hash";
import { claimsHash } from "@countersign/sdk/contract/claims-hash";
import { verifyActionReport } from "@countersign/sdk/verify/verify-action-report";
import { createLocalJWKSet, decodeJwt } from "jose";
import { describe, expect, test } from "vitest";

const issuer = "https://id.example";
const clientId = "spiffe://id.example/org/default/agent/agt_01arz3ndektsv4rrffq69g5fav";
const now = () => Date.parse("2026-11-25T12:00:00Z");
const deps = { now, randomBytes: (count: number) => new Uint8Array(count) };
const deed = {
  action: "read_file",
  scope: ["files.read"] as string[],
  resource: "https://files.example",
  outcome: "succeeded",
  started_at: "2026-11-25T11:59:00Z",
  ended_at: "2026-11-25T11:59:30Z",
} as const;

describe("what somebody signed of an action", () => {
  test("[ACT-005] is verified by a stranger with the key alone, and found in the ledger by its hash", async () => {
    const { publicJwk, privateJwk } = await makeKeyPair();
    const report = await signActionReport(
      deps,
      { issuer, clientId, key: privateJwk },
      { ...deed, scope: ["b", "a"] },
    );
    const keys = createLocalJWKSet({ keys: [publicJwk] });
    const verified = await verifyActionReport({ keys, now }, report, { issuer, reporter: clientId });
    expect(verified).toMatchObject({
      kid: publicJwk.kid,
      claims: { iss: clientId, report: { action: "read_file" } },
    });
    // Of what was signed, not of what it was read as.
    expect(verified.claimsHash).toBe(claimsHash(decodeJwt(report)));
  });

  test("[ACT-010] is no report of another, nor for another issuer", async () => {
    const { publicJwk, privateJwk } = await makeKeyPair();
    const report = await signActionReport(deps, { issuer, clientId, key: privateJwk }, deed);
    const codeOf = (keys: readonly object[], expected: { issuer: string; reporter: string }) =>
      verifyActionReport({ keys: createLocalJWKSet({ keys: [...keys] }), now }, report, expected).catch(
        ({ code }: { code: string }) => code,
      );
    expect(await codeOf([publicJwk], { issuer, reporter: `${clientId}0` })).toBe("issuer_unknown");
    expect(await codeOf([publicJwk], { issuer: `${issuer}0`, reporter: clientId })).toBe("audience_mismatch");
    const another = { ...(await makeKeyPair()).publicJwk, kid: publicJwk.kid };
    expect(await codeOf([another], { issuer, reporter: clientId })).toBe("signature_invalid");
    expect(await codeOf([], { issuer, reporter: clientId })).toBe("key_unknown");
  });
});

test("[ACT-007] equal arguments have one hash under one token, and another under each other token", () => {
  const one = argumentsHash({ path: "/data/a", head: 10 }, "token");
  expect(one).toBe("QkGOhm9lP0B8nbE471Wm_2KKrzO_ADA_kKAyehFtqq4");
  expect(argumentsHash({ head: 10, path: "/data/a" }, "token")).toBe(one);
  expect(argumentsHash({ path: "/data/a", head: 10 }, "token.")).not.toBe(one);
  expect(argumentsHash({ path: "/data/a", head: "10" }, "token")).not.toBe(one);
});
