import { expect, test } from "vitest";
import { createLiveCache } from "../../../src/store/live-cache.ts";

function cacheOf(entriesMax = 10) {
  const clock = { nowMs: 0 };
  const reads: string[] = [];
  const cache = createLiveCache<string>({
    now: () => clock.nowMs,
    isLive: (value) => !value.startsWith("dead"),
    entriesMax,
    maxAgeMs: 1000,
  });
  const read = (key: string) =>
    cache.read(key, async () => {
      reads.push(key);
      return key === "none" ? undefined : key;
    });
  return { clock, reads, cache, read };
}

test("[TOK-009] only what is live is kept; a refusal is read again each time", async () => {
  const { reads, read } = cacheOf();
  for (const value of ["live", "live"]) expect(await read(value)).toBe("live");
  for (const value of ["dead", "dead"]) expect(await read(value)).toBe("dead");
  for (const value of ["none", "none"]) expect(await read(value)).toBeUndefined();
  expect(reads).toEqual(["live", "dead", "dead", "none", "none"]);
});

test("[TOK-009] a value is read again when it is old, or was dropped", async () => {
  const { clock, reads, cache, read } = cacheOf();
  await read("a");
  clock.nowMs = 999;
  await read("a");
  clock.nowMs = 1000;
  await read("a");
  cache.drop((value) => value === "b");
  await read("a");
  cache.drop((value) => value === "a");
  await read("a");
  expect(reads).toEqual(["a", "a", "a"]);
});

test("[TOK-009] what was being read while something was dropped is not kept", async () => {
  const { cache, read, reads } = cacheOf();
  const reading = read("a");
  cache.drop(() => false);
  await reading;
  await read("a");
  expect(reads).toEqual(["a", "a"]);
});

test("the least recently used is dropped first", async () => {
  const { read, reads } = cacheOf(2);
  for (const key of ["a", "b", "a", "c", "a", "b"]) await read(key);
  expect(reads).toEqual(["a", "b", "c", "b"]);
});
