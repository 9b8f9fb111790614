import type { Selector } from "@countersign/sdk/model/selector";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createEntryIndex } from "../../../src/domain/entry-index.ts";

interface Entry {
  readonly id: string;
  readonly selectors: readonly Selector[];
}

const selectorOf = (name: string) => `unix:user:${name}` as Selector;
const few = fc.uniqueArray(fc.constantFrom(..."abcdefghij".split("")).map(selectorOf), {
  minLength: 1,
  maxLength: 5,
});

function naive(entries: readonly Entry[], workload: readonly Selector[]): readonly Entry[] {
  return entries.filter(({ selectors }) => selectors.every((selector) => workload.includes(selector)));
}

describe("the index of entries", () => {
  it("[ENT-001] finds what looking at each entry would find, in the order of their ids", () => {
    fc.assert(
      fc.property(fc.array(few, { maxLength: 60 }), fc.array(few, { maxLength: 5 }), (lists, workloads) => {
        const entries = lists.map((selectors, place) => ({
          id: `ent_${String(place).padStart(4, "0")}`,
          selectors,
        }));
        const { match } = createEntryIndex(entries);
        for (const workload of [...workloads, []]) expect(match(workload)).toEqual(naive(entries, workload));
      }),
    );
  });

  it("[ENT-002] looks at few entries of 100,000, also where all share a selector", () => {
    const shared = "unix:uid:1000" as Selector;
    let looked = 0;
    const entries = Array.from({ length: 100_000 }, (_, place) => {
      const selectors = [shared, selectorOf(String(place))];
      return {
        id: `ent_${place}`,
        // Who asks for an entry's selectors looks at it.
        get selectors() {
          looked++;
          return selectors;
        },
      };
    });
    const { match, size } = createEntryIndex(entries);
    expect(size).toBe(100_000);
    looked = 0;
    expect(match([shared, selectorOf("77777")]).map(({ id }) => id)).toEqual(["ent_77777"]);
    expect(match([shared, selectorOf("none")])).toEqual([]);
    expect(looked).toBeLessThan(10);
  });

  it("[ENT-061] tells which costly kinds of selectors its entries ask for", () => {
    const kindsOf = (...lists: string[][]) =>
      createEntryIndex(
        lists.map((selectors, place) => ({ id: `ent_${place}`, selectors: selectors as Selector[] })),
      ).costlyKinds;
    expect(kindsOf(["unix:uid:1"], ["unix:pathological:x"])).toEqual(new Set());
    expect(kindsOf(["unix:uid:1", "unix:path:/bin/cat"])).toEqual(new Set(["unix:path"]));
    expect(kindsOf(["unix:path:/a"], ["unix:sha256:00"])).toEqual(new Set(["unix:path", "unix:sha256"]));
  });
});
