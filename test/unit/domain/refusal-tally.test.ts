import fc from "fast-check";
import { expect, test } from "vitest";
import { createRefusalTally } from "../../../src/domain/refusal-tally.ts";

const tallyOf = <Refusal = string>(keysMax: number, keysOfPartyMax = keysMax) =>
  createRefusalTally<Refusal>({
    intervalMs: 1000,
    keysMax,
    keysOfPartyMax,
    partyOf: (refusal) => String(refusal).charAt(0),
  });

test("[LED-003] the first refusal is recorded at once, its repeats once an interval", () => {
  const tally = tallyOf(10);
  expect([
    tally.note("a", "1", 0),
    tally.note("a", "2", 10),
    tally.note("b", "3", 20),
    tally.note("a", "4", 999),
  ]).toEqual([1, 0, 1, 0]);
  expect(tally.takeDue(999)).toEqual([]);
  expect(tally.takeDue(1000)).toEqual([{ key: "a", refusal: "4", count: 2 }]);
  expect(tally.takeDue(1_000_000)).toEqual([]);
  expect(tally.note("a", "5", 1_000_001)).toBe(1);
});

test("[LED-003] a repeat after the interval takes the count with it", () => {
  const tally = tallyOf(10);
  tally.note("a", "1", 0);
  tally.note("a", "2", 1);
  expect(tally.note("a", "3", 1000)).toBe(2);
  expect(tally.takeDue(Number.POSITIVE_INFINITY)).toEqual([]);
});

test("[LED-003] whatever happens in whatever order, every refusal is counted exactly once", () => {
  const steps = fc.array(
    fc.record({ key: fc.constantFrom("a", "b", "c", "d"), waitMs: fc.nat(1500), lost: fc.boolean() }),
  );
  fc.assert(
    fc.property(steps, (list) => {
      const tally = tallyOf<number>(2);
      let nowMs = 0;
      let recorded = 0;
      for (const { key, waitMs, lost } of list) {
        nowMs += waitMs;
        for (const counted of tally.takeDue(nowMs)) {
          if (lost) tally.add(counted, nowMs);
          else recorded += counted.count;
        }
        recorded += tally.note(key, nowMs, nowMs);
      }
      for (const { count } of tally.takeDue(Number.POSITIVE_INFINITY)) recorded += count;
      return recorded === list.length;
    }),
  );
});

test("kinds beyond the bound are recorded one by one and take no memory", () => {
  const tally = tallyOf(1);
  tally.note("a", "1", 0);
  expect([tally.note("b", "2", 1), tally.note("b", "3", 2)]).toEqual([1, 1]);
});

test("nobody takes the room of others, and room that is free again is used again", () => {
  const tally = tallyOf(10, 1);
  expect([tally.note("a", "x", 0), tally.note("b", "x", 1), tally.note("b", "x", 2)]).toEqual([1, 1, 1]);
  expect([tally.note("c", "y", 3), tally.note("c", "y", 4)]).toEqual([1, 0]);
  expect(tally.takeDue(1000)).toEqual([]);
  expect([tally.note("b", "x", 1001), tally.note("b", "x", 1002)]).toEqual([1, 0]);
});
