import { type Grant, narrow, narrowToToken } from "@countersign/sdk/model/narrow";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { audience, grants, isNoWider, nowMs, requests } from "./grants.ts";

const parent: Grant = {
  resource: audience("https://mail.example"),
  scope: ["mail.read", "mail.send"],
  authorizationDetails: [],
  expiresAtMs: nowMs + 7_200_000,
  maxDepth: 3,
  budget: {},
  onward: [],
};
const request = { resource: "https://mail.example", scope: ["mail.read"] };

function dimension(from: Grant, asked: Parameters<typeof narrow>[1]): string {
  const outcome = narrow(from, asked, nowMs);
  return outcome.narrowed ? "narrowed" : outcome.dimension;
}

describe("narrow", () => {
  test("[DEL-002] whatever is asked, a child is no wider than its parent", () => {
    fc.assert(
      fc.property(grants, requests, (from, asked) => {
        const outcome = narrow(from, asked, nowMs);
        return !outcome.narrowed || isNoWider(outcome.grant, from);
      }),
      { numRuns: 5000 },
    );
  });

  test("[DEL-002] no chain of hops regains what an earlier hop gave up", () => {
    fc.assert(
      fc.property(grants, fc.array(requests, { maxLength: 6 }), (root, hops) => {
        const path = [root];
        for (const asked of hops) {
          const outcome = narrow(path.at(-1) ?? root, asked, nowMs);
          if (outcome.narrowed) path.push(outcome.grant);
        }
        return path.every((child, hop) => path.slice(0, hop).every((ancestor) => isNoWider(child, ancestor)));
      }),
      { numRuns: 2000 },
    );
  });

  test("grants whatever is asked in full and is no wider", () => {
    fc.assert(
      fc.property(grants, requests, (from, asked) => {
        const { expiresAtMs, maxDepth, scope, budget = {}, authorizationDetails = [] } = asked;
        if (expiresAtMs === undefined || maxDepth === undefined || asked.resource !== from.resource)
          return true;
        const child = { ...from, expiresAtMs, maxDepth, scope, budget, authorizationDetails };
        const sensible =
          Number.isSafeInteger(maxDepth) && Number.isSafeInteger(expiresAtMs) && expiresAtMs > nowMs;
        const fit = isNoWider(child, from) && scope.length > 0 && sensible;
        return narrow(from, asked, nowMs).narrowed === fit;
      }),
      { numRuns: 5000 },
    );
  });

  test("[DEL-001] refuses an explicit expiry beyond the parent's, and one that is past", () => {
    expect(dimension(parent, { ...request, expiresAtMs: parent.expiresAtMs + 1 })).toBe("expiry");
    expect(dimension(parent, { ...request, expiresAtMs: parent.expiresAtMs })).toBe("narrowed");
    expect(dimension(parent, { ...request, expiresAtMs: nowMs })).toBe("expiry");
    expect(dimension({ ...parent, expiresAtMs: nowMs }, request)).toBe("expiry");
  });

  test("an omitted expiry is the lesser of one hour and the parent's", () => {
    expect(narrow(parent, request, nowMs)).toMatchObject({
      grant: { expiresAtMs: nowMs + 3_600_000, maxDepth: 2 },
    });
    const brief = { ...parent, expiresAtMs: nowMs + 1000 };
    expect(narrow(brief, request, nowMs)).toMatchObject({ grant: { expiresAtMs: nowMs + 1000 } });
  });

  test("[DEL-010] refuses a hop that the parent's depth does not leave", () => {
    expect(dimension({ ...parent, maxDepth: 0 }, request)).toBe("depth");
    expect(dimension(parent, { ...request, maxDepth: 3 })).toBe("depth");
    expect(dimension(parent, { ...request, maxDepth: 2 })).toBe("narrowed");
    expect(dimension({ ...parent, maxDepth: 1 }, { ...request, maxDepth: 0 })).toBe("narrowed");
  });

  test("refuses a scope that the parent lacks, one that is none, and the empty one", () => {
    expect(dimension(parent, { ...request, scope: ["mail.read", "mail.delete"] })).toBe("scope");
    expect(dimension(parent, { ...request, scope: ["MAIL.READ"] })).toBe("scope");
    expect(dimension(parent, { ...request, scope: [] })).toBe("scope");
    expect(dimension({ ...parent, scope: ["a b"] }, { ...request, scope: ["a b"] })).toBe("scope");
  });

  test("refuses another resource", () => {
    expect(dimension(parent, { ...request, resource: "https://mail.example/inbox" })).toBe("resource");
    expect(dimension(parent, { ...request, resource: "https://mail.example/" })).toBe("narrowed");
  });

  test("[DEL-003] refuses what can't be compared, on either side", () => {
    const details = [{ type: "payment" }];
    expect(dimension(parent, { ...request, authorizationDetails: details })).toBe("authorization_details");
    expect(dimension({ ...parent, authorizationDetails: details }, request)).toBe("authorization_details");
    expect(dimension(parent, { ...request, budget: { tokens: 1 } })).toBe("budget");
    expect(dimension({ ...parent, budget: { tokens: 1 } }, request)).toBe("budget");
    for (const broken of [Number.NaN, Number.POSITIVE_INFINITY, 1.5]) {
      expect(dimension(parent, { ...request, expiresAtMs: broken })).toBe("expiry");
      expect(dimension({ ...parent, expiresAtMs: broken }, { ...request, expiresAtMs: nowMs + 1 })).toBe(
        "expiry",
      );
      expect(dimension(parent, { ...request, maxDepth: broken })).toBe("depth");
      expect(dimension({ ...parent, maxDepth: broken }, { ...request, maxDepth: 1 })).toBe("depth");
    }
  });
});

describe("narrowToToken", () => {
  test("[TOK-004] a token is no wider than its delegation and over when that is", () => {
    fc.assert(
      fc.property(grants, requests, fc.integer({ min: 1, max: 600 }), (leaf, asked, seconds) => {
        const outcome = narrowToToken(leaf, asked, nowMs, seconds);
        if (!outcome.narrowed) return true;
        const { grant } = outcome;
        const lifetimeMs = grant.expiresAtMs - nowMs;
        return isNoWider(grant, { ...leaf, maxDepth: 1 }) && lifetimeMs > 0 && lifetimeMs <= seconds * 1000;
      }),
      { numRuns: 3000 },
    );
  });

  test("carries the whole scope when none is named, also where no hop is left", () => {
    const outcome = narrowToToken({ ...parent, maxDepth: 0 }, {}, nowMs, 300);
    expect(outcome).toMatchObject({ grant: { scope: parent.scope, expiresAtMs: nowMs + 300_000 } });
  });
});
