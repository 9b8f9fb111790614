import fc from "fast-check";
import { expect, test } from "vitest";
import { createRefusalTally } from "../../../src/domain/refusal-tally.ts";

/** Of the party that the key begins with. */
const refusal = (key: string, word = "") => ({ key, word });
const tallyOf = (keysMax: number, keysOfPartyMax = keysMax) => {
  const partyOf = ({ key }: { readonly key: string }) => key.charAt(0);
  const summed = (one: { readonly key: string }) => refusal(`${partyOf(one)} summed`);
  return createRefusalTally<ReturnType<typeof refusal>>({
    intervalMs: 1000,
    keysMax,
    keysOfPartyMax,
    partyOf,
    summed,
  });
};
type Tally = ReturnType<typeof tallyOf>;
const noteAll = (tally: Tally, ...noted: readonly (readonly [string, number])[]) =>
  noted.map(([key, nowMs]) => tally.note(refusal(key), nowMs).count);

test("[LED-003] the first refusal is recorded at once, its repeats once an interval", () => {
  const tally = tallyOf(10);
  expect(noteAll(tally, ["a", 0], ["a", 10], ["b", 20])).toEqual([1, 0, 1]);
  expect(tally.note(refusal("a", "latest"), 999).count).toBe(0);
  expect(tally.takeDue(999)).toEqual([]);
  expect(tally.takeDue(1000)).toEqual([{ refusal: refusal("a", "latest"), count: 2 }]);
  expect(tally.takeDue(1_000_000)).toEqual([]);
  expect(noteAll(tally, ["a", 1_000_001])).toEqual([1]);
});

test("[LED-003] a repeat after the interval takes the count with it", () => {
  const tally = tallyOf(10);
  expect(noteAll(tally, ["a", 0], ["a", 1], ["a", 1000])).toEqual([1, 0, 2]);
  expect(tally.takeDue(Number.POSITIVE_INFINITY)).toEqual([]);
});

test("[LED-003] whatever happens in whatever order, every refusal is counted exactly once", () => {
  const keys = ["a1", "a2", "a3", "b1", "c1"];
  const steps = fc.array(
    fc.record({
      key: fc.constantFrom(...keys),
      waitMs: fc.nat(1500),
      lost: fc.boolean(),
      only: fc.boolean(),
    }),
  );
  fc.assert(
    fc.property(steps, (list) => {
      const tally = tallyOf(3, 2);
      let nowMs = 0;
      let recorded = 0;
      for (const { key, waitMs, lost, only } of list) {
        nowMs += waitMs;
        const settle = (counted: ReturnType<Tally["note"]>) => {
          if (lost && counted.count > 0) tally.putBack(counted);
          else recorded += counted.count;
        };
        for (const counted of tally.takeDue(nowMs)) settle(counted);
        if (only) tally.add(refusal(key), nowMs);
        else settle(tally.note(refusal(key), nowMs));
      }
      for (const { count } of tally.takeDue(Number.POSITIVE_INFINITY)) recorded += count;
      return recorded === list.length;
    }),
  );
});

test("[LED-001] what could not be recorded is due at once, and its repeat is not counted on it", () => {
  const tally = tallyOf(10);
  tally.putBack(tally.note(refusal("a"), 0));
  expect(noteAll(tally, ["a", 1], ["a", 2])).toEqual([2, 0]);
  tally.putBack({ refusal: refusal("a"), count: 2 });
  expect(tally.takeDue(3)).toEqual([{ refusal: refusal("a"), count: 3 }]);
});

test("[LED-003] kinds beyond the bound are counted in one sum of their party, not recorded one by one", () => {
  const tally = tallyOf(1);
  expect(noteAll(tally, ["a1", 0], ["b1", 1], ["b2", 2], ["b3", 3])).toEqual([1, 1, 0, 0]);
  tally.add(refusal("b4"), 4);
  expect(tally.takeDue(2000)).toEqual([{ refusal: refusal("b summed"), count: 3 }]);
});

test("[LED-003] sums take bounded memory too: where all room is used, refusals are recorded one by one", () => {
  const tally = tallyOf(1);
  expect(noteAll(tally, ["a1", 0], ["b1", 0], ["c1", 0], ["c1", 0], ["b2", 0])).toEqual([1, 1, 1, 1, 0]);
});

test("[LED-003] nobody takes the room of others, and room that is free again is used again", () => {
  const tally = tallyOf(10, 1);
  expect(noteAll(tally, ["x1", 0], ["x2", 1], ["x3", 2], ["y1", 3], ["y1", 4])).toEqual([1, 1, 0, 1, 0]);
  expect(tally.takeDue(1500)).toHaveLength(2);
  expect(noteAll(tally, ["x3", 1501], ["x3", 1502])).toEqual([1, 0]);
});
