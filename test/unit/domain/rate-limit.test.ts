import { parseId } from "@countersign/sdk/model/ids";
import { describe, expect, it } from "vitest";
import { createNodeLimits } from "../../../src/domain/node-limits.ts";
import { createRateLimit } from "../../../src/domain/rate-limit.ts";

describe("a rate limit", () => {
  it("gives so many at once, and after that as many as time brings, to each party its own", () => {
    let nowMs = 0;
    const { take } = createRateLimit({ now: () => nowMs, burst: 3, perSecond: 2, partiesMax: 10 });
    expect([take("a"), take("a", 2), take("a"), take("b", 3)]).toEqual([true, true, false, true]);
    nowMs = 499;
    expect(take("a")).toBe(false);
    nowMs = 500;
    expect([take("a"), take("a")]).toEqual([true, false]);
    nowMs = 1_000_000;
    expect([take("a", 4), take("a", 3), take("a")]).toEqual([false, true, false]);
    // A clock that is set back gives nothing, and takes nothing.
    nowMs = 0;
    expect(take("a")).toBe(false);
  });

  it("forgets who was not heard of for the longest time, and nobody else", () => {
    const { take } = createRateLimit({ now: () => 0, burst: 1, perSecond: 1, partiesMax: 2 });
    expect([take("a"), take("b"), take("a"), take("c")]).toEqual([true, true, false, true]);
    expect([take("a"), take("b")]).toEqual([false, true]);
  });
});

describe("a node", () => {
  it("[NOD-024] is refused who asks too often for one entry, for all of them, or for itself", () => {
    let nowMs = 0;
    const { admitSvid, admitRenewal } = createNodeLimits(() => nowMs);
    const node = parseId("node", "nod_00000000000000000000000001") ?? expect.unreachable();
    const entryOf = (place: number) =>
      parseId("entry", `ent_${`${place}`.padStart(26, "0")}`) ?? expect.unreachable();
    const refused = expect.objectContaining({ code: "too_many_requests" });
    for (let times = 0; times < 200; times++) admitSvid(node, "x509", entryOf(1));
    // What is refused for one entry is not counted as the node's.
    for (let times = 0; times < 2_000; times++)
      expect(() => admitSvid(node, "x509", entryOf(1))).toThrow(refused);
    for (let times = 0; times < 1_800; times++) admitSvid(node, "x509", entryOf(2 + (times % 100)));
    expect(() => admitSvid(node, "x509", entryOf(200))).toThrow(refused);
    for (let times = 0; times < 20; times++) admitRenewal(node);
    expect(() => admitRenewal(node)).toThrow(refused);
    nowMs += 10_000;
    admitRenewal(node);
    admitSvid(node, "x509", entryOf(200));
  });
});
