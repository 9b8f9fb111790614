import { parseId } from "@countersign/sdk/model/ids";
import { describe, expect, it } from "vitest";
import { createNodeLimits } from "../../../src/domain/node-limits.ts";
import { createTokenBuckets } from "../../../src/domain/token-buckets.ts";

describe("token buckets", () => {
  it("give so many at once, and after that as many as time brings, to each key its own", () => {
    let nowMs = 0;
    const { take } = createTokenBuckets({ now: () => nowMs, burst: 3, perSecond: 2 });
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

  it("forget who has all, and nobody else", () => {
    let nowMs = 0;
    const { take } = createTokenBuckets({ now: () => nowMs, burst: 1, perSecond: 1 });
    expect(take("kept")).toBe(true);
    for (let key = 0; key < 5_000; key++) {
      nowMs += 0.1;
      take(`${key}`);
    }
    expect(take("kept")).toBe(false);
  });
});

describe("a node", () => {
  it("[NOD-024] is refused who asks too often for one entry, for all of them, or for itself", () => {
    let nowMs = 0;
    const { admitSvids, admitRenewal } = createNodeLimits(() => nowMs);
    const node = parseId("node", "nod_00000000000000000000000001") ?? expect.unreachable();
    const entryOf = (place: number) =>
      parseId("entry", `ent_${`${place}`.padStart(26, "0")}`) ?? expect.unreachable();
    const refused = expect.objectContaining({ code: "too_many_requests" });
    for (let times = 0; times < 200; times++) admitSvids(node, [entryOf(1)]);
    expect(() => admitSvids(node, [entryOf(1)])).toThrow(refused);
    admitSvids(node, [entryOf(2)]);
    nowMs = 60_000;
    for (let times = 0; times < 20; times++)
      admitSvids(
        node,
        Array.from({ length: 100 }, (_, place) => entryOf(100 + place)),
      );
    expect(() => admitSvids(node, [entryOf(3)])).toThrow(refused);
    for (let times = 0; times < 20; times++) admitRenewal(node);
    expect(() => admitRenewal(node)).toThrow(refused);
    nowMs += 10_000;
    admitRenewal(node);
    admitSvids(node, [entryOf(3)]);
  });
});
