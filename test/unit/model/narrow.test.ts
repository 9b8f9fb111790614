import { type Grant, narrow, narrowToToken } from "@countersign/sdk/model/narrow";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { audience, grants, isNoWider, nowMs, relatedRequests, requests, target } from "./grants.ts";

const parent: Grant = {
  resource: audience("https://mail.example"),
  scope: ["mail.read", "mail.send"],
  authorizationDetails: [],
  expiresAtMs: nowMs + 7_200_000,
  maxDepth: 3,
  budget: {},
  onward: [],
  session: undefined,
};
const request = { resource: "https://mail.example", scope: ["mail.read"] };

const pairs = fc.oneof(fc.tuple(grants, requests), relatedRequests);

function dimension(from: Grant, asked: Parameters<typeof narrow>[1]): string {
  const outcome = narrow(from, asked, nowMs);
  return outcome.narrowed ? "narrowed" : outcome.dimension;
}

describe("narrow", () => {
  test("[DEL-002] whatever is asked, a child is no wider than its parent", () => {
    const seen = { narrowed: 0 };
    fc.assert(
      fc.property(pairs, ([from, asked]) => {
        const outcome = narrow(from, asked, nowMs);
        if (outcome.narrowed) seen.narrowed++;
        return !outcome.narrowed || isNoWider(outcome.grant, from);
      }),
      { numRuns: 3000 },
    );
    expect(seen.narrowed).toBeGreaterThan(50);
  });

  test("[DEL-002] no chain of hops regains what an earlier hop gave up", () => {
    const seen = { long: 0 };
    fc.assert(
      fc.property(relatedRequests, fc.array(requests, { maxLength: 6 }), ([root, first], hops) => {
        const path = [root];
        for (const asked of [first, ...hops]) {
          const { budget = root.budget, expiresAtMs, session } = asked;
          for (const attempt of [
            asked,
            { resource: root.resource, scope: ["a"], budget, expiresAtMs, session },
          ]) {
            const outcome = narrow(path.at(-1) ?? root, attempt, nowMs);
            if (outcome.narrowed) path.push(outcome.grant);
          }
        }
        if (path.length > 3) seen.long++;
        return path.every((child, hop) => path.slice(0, hop).every((ancestor) => isNoWider(child, ancestor)));
      }),
      { numRuns: 1000 },
    );
    expect(seen.long).toBeGreaterThan(50);
  });

  test("a parent gives all it has to a child that asks for it, but the hop", () => {
    fc.assert(
      fc.property(grants, (grant) => {
        const whole = { ...grant, scope: ["a", "b", "c", "d"], expiresAtMs: nowMs + 1000, maxDepth: 2 };
        const asked = {
          ...whole,
          maxDepth: 1,
          onward: whole.onward.filter(({ scope }) => !scope.includes("A")),
        };
        expect(narrow(whole, asked, nowMs)).toEqual({ narrowed: true, grant: asked });
      }),
      { numRuns: 1000 },
    );
  });

  test("[DEL-001] refuses an explicit expiry beyond the parent's, and one that is past", () => {
    expect(dimension(parent, { ...request, expiresAtMs: parent.expiresAtMs + 1 })).toBe("expiry");
    expect(dimension(parent, { ...request, expiresAtMs: parent.expiresAtMs })).toBe("narrowed");
    expect(dimension(parent, { ...request, expiresAtMs: nowMs })).toBe("expiry");
    expect(dimension({ ...parent, expiresAtMs: nowMs }, request)).toBe("expiry");
  });

  test("what was asked in excess is refused with what could be asked instead", () => {
    const reason = (...asked: Parameters<typeof narrow>) => {
      const narrowing = narrow(...asked);
      return narrowing.narrowed ? undefined : narrowing.reason;
    };
    const end = parent.expiresAtMs;
    expect(reason(parent, { ...request, expiresAtMs: end + 1 }, nowMs)).toBe(
      `it would outlive the delegation, which lasts until ${new Date(end).toISOString()}`,
    );
    // Later than any date: nothing is named, and nothing breaks.
    const endless = { ...parent, expiresAtMs: Number.MAX_SAFE_INTEGER - 1 };
    expect(reason(endless, { ...request, expiresAtMs: Number.MAX_SAFE_INTEGER }, nowMs)).toBe(
      "it would outlive the delegation",
    );
    expect(reason({ ...parent, budget: { calls: 7 } }, request, nowMs)).toBe(
      "calls are limited: say a share of calls, at most 7",
    );
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

  test("what is not asked for is inherited, or none at all", () => {
    const detail = { type: "tool_call", server: "files", tools: ["read_file"] };
    const bound = {
      ...parent,
      authorizationDetails: [detail],
      session: "s1",
      onward: [target(["mail.read"])],
    };
    expect(narrow(bound, request, nowMs)).toMatchObject({
      grant: { authorizationDetails: [detail], session: "s1", onward: [], budget: {} },
    });
    expect(dimension(bound, { ...request, authorizationDetails: [] })).toBe("authorization_details");
  });

  test("[NAR-004] what is limited stays limited, by no more, and by the child's own word", () => {
    const limited = { ...parent, budget: { tokens: 10 } };
    const cases: [Grant, object | undefined, string][] = [
      [limited, undefined, "budget"],
      [limited, {}, "budget"],
      [limited, { calls: 1 }, "budget"],
      [limited, { tokens: 11 }, "budget"],
      [limited, { tokens: 10 }, "narrowed"],
      [limited, { tokens: 0 }, "narrowed"],
      [limited, { tokens: -0 }, "narrowed"],
      [limited, { tokens: 1, calls: 5 }, "narrowed"],
      [parent, { tokens: 1 }, "narrowed"],
      [parent, undefined, "narrowed"],
      [parent, { gold: 1 }, "budget"],
      [parent, { Tokens: 1 }, "budget"],
      [parent, { tokens: "1" }, "budget"],
      [parent, { tokens: undefined }, "budget"],
      [parent, { tokens: 2 ** 53 }, "budget"],
      [parent, { tokens: Number.POSITIVE_INFINITY }, "budget"],
      [parent, JSON.parse('{"__proto__": 1}'), "budget"],
      [limited, Object.create({ tokens: 1 }), "budget"],
      [{ ...parent, budget: { gold: 1 } }, { tokens: 1 }, "budget"],
    ];
    for (const [from, budget, expected] of cases) {
      expect([
        budget,
        dimension(from, { ...request, budget: budget as Grant["budget"] | undefined }),
      ]).toEqual([budget, expected]);
    }
  });

  test("[NAR-006] a session is taken on but not off, and not changed", () => {
    const bound = { ...parent, session: "s1" };
    expect(dimension(bound, { ...request, session: "s1" })).toBe("narrowed");
    for (const session of ["s2", "S1", "s1 ", "", "s1\0"])
      expect(dimension(bound, { ...request, session })).toBe("session");
    expect(dimension(parent, { ...request, session: "s2" })).toBe("narrowed");
    expect(dimension(parent, { ...request, session: "x".repeat(129) })).toBe("session");
  });

  test("[NAR-002] tells what can't be read from what is wider", () => {
    const detail = { type: "tool_call", server: "files", tools: ["read_file"] };
    const limited = { ...parent, authorizationDetails: [detail] };
    const ask = (from: Grant, authorizationDetails: unknown) =>
      narrow(from, { ...request, authorizationDetails }, nowMs);
    for (const asked of [[{ type: "payment" }], [detail, 5], "text", null, {}, [{ ...detail, more: 1 }]]) {
      for (const from of [parent, limited]) {
        const unread = { dimension: "authorization_details", unreadable: true };
        expect([asked, ask(from, asked)]).toEqual([
          asked,
          { narrowed: false, reason: expect.any(String), ...unread },
        ]);
      }
    }
    const wider = { narrowed: false, reason: expect.any(String), dimension: "authorization_details" };
    for (const asked of [[], [{ ...detail, tools: ["write_file"] }]])
      expect([asked, ask(limited, asked)]).toEqual([asked, wider]);
    // What the parent has is not the fault of who asks.
    expect(ask({ ...parent, authorizationDetails: [{ type: "payment" }] }, undefined)).toEqual(wider);
  });

  test("[DEL-003] refuses what can't be compared, on either side", () => {
    const details = [{ type: "payment" }];
    expect(dimension(parent, { ...request, authorizationDetails: details })).toBe("authorization_details");
    expect(dimension({ ...parent, authorizationDetails: details }, request)).toBe("authorization_details");
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
      fc.property(pairs, fc.integer({ min: 1, max: 600 }), ([leaf, asked], seconds) => {
        const outcome = narrowToToken(leaf, asked, nowMs, seconds);
        if (!outcome.narrowed) return true;
        const { grant } = outcome;
        expect([grant.budget, grant.session]).toEqual([leaf.budget, leaf.session]);
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
