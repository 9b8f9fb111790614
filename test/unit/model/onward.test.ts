import type { Authority, Grant } from "@countersign/sdk/model/narrow";
import { narrow } from "@countersign/sdk/model/narrow";
import { narrowOnward, type OnwardRequest, type RedeemedToken } from "@countersign/sdk/model/narrow-onward";
import { mayActOf, type OnwardTarget } from "@countersign/sdk/model/onward";
import { parseSpiffeId } from "@countersign/sdk/model/spiffe-id";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { agentIds, audience, grants, isNoWider, nowMs, target } from "./grants.ts";

const [first, second] = agentIds;
const calendar = "https://calendar.example";
const readFiles = { type: "tool_call", server: "files", tools: ["read_file"] };
const leaf: Grant = {
  resource: audience("https://mail.example"),
  scope: ["mail.read", "mail.send"],
  authorizationDetails: [],
  expiresAtMs: nowMs + 7_200_000,
  maxDepth: 3,
  budget: {},
  onward: [target(["mail.read"]), target(["mail.read", "mail.send"], calendar)],
  session: undefined,
};
const root: Authority = { ...leaf, onward: "any" };
const request = { resource: leaf.resource, scope: leaf.scope };

function outcome(from: Authority, onward: readonly OnwardTarget[], more: object = {}): string {
  const narrowing = narrow(from, { ...request, onward, ...more }, nowMs);
  return narrowing.narrowed ? "narrowed" : `${narrowing.dimension}: ${narrowing.reason}`;
}

describe("onward targets", () => {
  test("[NAR-005] a root lists any agent and resource, within its own scope", () => {
    expect(outcome(root, [target(["mail.read"], "https://elsewhere.example")])).toBe("narrowed");
    expect(outcome(root, [target(["mail.delete"])])).toContain("mail.delete");
    expect(outcome(root, [target(["mail.send"])], { scope: ["mail.read"] })).toContain("mail.send");
  });

  test("[NAR-005] a child lists only what its parent's list covers", () => {
    expect(outcome(leaf, leaf.onward)).toBe("narrowed");
    expect(outcome(leaf, [target(["mail.read"], calendar)])).toBe("narrowed");
    expect(outcome(leaf, [target(["mail.read"], "https://mail.example/")])).toBe("narrowed");
    expect(outcome(leaf, [target(["mail.send"])])).toContain("not among the parent's");
    expect(outcome(leaf, [target(["mail.read"], "https://mail.example", 1)])).toContain(
      "not among the parent's",
    );
    expect(outcome(leaf, [target(["mail.read"], "https://mail.example/a")])).toContain(
      "not among the parent's",
    );
    expect(outcome({ ...leaf, onward: [] }, [target(["mail.read"])])).toContain("not among the parent's");
  });

  test("[NAR-005] a target that is none, or one named twice, is refused", () => {
    const good = target(["mail.read"]);
    expect(outcome(root, [good, target(["mail.send"])])).toContain("twice");
    expect(outcome(root, [good, target(["mail.read"], "https://mail.example/")])).toContain("twice");
    expect(outcome(root, [good], { maxDepth: 0 })).toContain("further hop");
    const many = Array.from({ length: 17 }, (_, i) => target(["mail.read"], `https://mail.example/${i}`));
    expect(outcome(root, many)).toContain("at most 16");
    for (const broken of [
      { agent: "agt_x" },
      { resource: "https://MAIL.example" },
      { scope: [] },
      { scope: ["é"] },
    ]) {
      expect(outcome(root, [{ ...good, ...broken } as OnwardTarget])).toContain("an onward target is");
    }
  });

  test("may_act names the one agent of all targets, and nobody where there are two or none", () => {
    const sub = parseSpiffeId("spiffe://id.example/a");
    if (sub === undefined) throw new Error("not a SPIFFE ID");
    const actorOf = () => ({ iss: "https://id.example", sub });
    const claim = { iss: "https://id.example", sub, sub_profile: "ai_agent" };
    expect(mayActOf([], actorOf)).toBeUndefined();
    expect(mayActOf(leaf.onward, actorOf)).toEqual(claim);
    expect(mayActOf([...leaf.onward, target(["mail.read"], calendar, 1)], actorOf)).toBeUndefined();
  });
});

describe("narrowOnward", () => {
  const token: RedeemedToken = {
    scope: ["mail.read"],
    authorizationDetails: [],
    expiresAtMs: nowMs + 300_000,
  };
  const asked: OnwardRequest = { client: first, resource: calendar };
  const dimension = (from: Grant, held: RedeemedToken, wanted: OnwardRequest) => {
    const narrowing = narrowOnward(from, held, wanted, nowMs);
    return narrowing.narrowed ? "narrowed" : narrowing.dimension;
  };

  test("[NAR-005] gives what leaf, token and target have in common, at the target's resource", () => {
    expect(narrowOnward(leaf, token, asked, nowMs)).toEqual({
      narrowed: true,
      grant: {
        resource: calendar,
        scope: ["mail.read"],
        authorizationDetails: [],
        expiresAtMs: token.expiresAtMs,
        maxDepth: 2,
        budget: {},
        onward: [],
        session: undefined,
      },
    });
  });

  test("[NAR-005] gives nothing to whom the leaf does not list, though it be the token's audience", () => {
    expect(dimension(leaf, token, { ...asked, client: second })).toBe("onward");
    expect(dimension({ ...leaf, onward: [] }, token, asked)).toBe("onward");
    expect(dimension(leaf, token, { ...asked, resource: "https://elsewhere.example" })).toBe("resource");
    expect(dimension(leaf, token, { client: first })).toBe("resource");
  });

  test("[NAR-005] gives nothing beyond the token, the target or the leaf, in any dimension", () => {
    expect(dimension(leaf, token, { ...asked, scope: ["mail.send"] })).toBe("scope");
    const full = { ...token, scope: leaf.scope };
    expect(dimension(leaf, full, { ...asked, resource: leaf.resource, scope: ["mail.send"] })).toBe("scope");
    expect(dimension(leaf, { ...token, scope: ["other"] }, asked)).toBe("scope");
    expect(dimension(leaf, { ...token, expiresAtMs: nowMs }, asked)).toBe("expiry");
    expect(dimension({ ...leaf, maxDepth: 0 }, token, asked)).toBe("depth");
    const smuggled = { ...asked, onward: leaf.onward.slice(0, 1) };
    expect(dimension(leaf, token, smuggled)).toBe("onward");
    expect(dimension({ ...leaf, authorizationDetails: [readFiles] }, token, asked)).toBe(
      "authorization_details",
    );
    const detailed = { ...token, authorizationDetails: [readFiles] };
    const writing = [{ ...readFiles, tools: ["write_file"] }];
    expect(dimension(leaf, detailed, { ...asked, authorizationDetails: writing })).toBe(
      "authorization_details",
    );
    expect(narrowOnward(leaf, detailed, asked, nowMs)).toMatchObject({
      grant: { authorizationDetails: [readFiles] },
    });
    const limited = { ...leaf, budget: { tokens: 2 } };
    expect(dimension(limited, token, asked)).toBe("budget");
    expect(dimension(limited, token, { ...asked, budget: { tokens: 1 } })).toBe("narrowed");
    expect(narrowOnward({ ...leaf, session: "s1" }, token, asked, nowMs)).toMatchObject({
      grant: { session: "s1" },
    });
  });

  test("[NAR-005] whatever is redeemed, the child is no wider than the leaf but for the listed resource", () => {
    const seen = { narrowed: 0 };
    fc.assert(
      fc.property(grants, grants, (from, other) => {
        const held = { ...other, authorizationDetails: from.authorizationDetails };
        const [listed] = from.onward;
        if (listed === undefined) return;
        const wanted = { client: listed.agent, resource: listed.resource, budget: from.budget };
        const narrowing = narrowOnward(from, held, wanted, nowMs);
        if (!narrowing.narrowed) return;
        seen.narrowed++;
        const { grant } = narrowing;
        expect(isNoWider(grant, { ...from, resource: listed.resource })).toBe(true);
        expect(grant.scope.every((s) => held.scope.includes(s) && listed.scope.includes(s))).toBe(true);
        expect(grant.expiresAtMs).toBeLessThanOrEqual(held.expiresAtMs);
      }),
      { numRuns: 3000 },
    );
    expect(seen.narrowed).toBeGreaterThan(50);
  });
});
