import { expect, test } from "vitest";
import { createLiveCache } from "../../../src/store/live-cache.ts";

function cacheOf(entriesMax = 10) {
  const clock = { nowMs: 0 };
  const reads: string[] = [];
  const looks: string[] = [];
  const cache = createLiveCache<string>({
    now: () => clock.nowMs,
    isLive: (value) => !value.startsWith("dead"),
    // It rests on what its name is made of: `a+b` on `a` and `b`.
    restsOn: (value) => {
      looks.push(value);
      return value.split("+");
    },
    entriesMax,
    maxAgeMs: 1000,
  });
  const read = (key: string) =>
    cache.read(key, async () => {
      reads.push(key);
      return key === "none" ? undefined : key;
    });
  return { clock, reads, looks, cache, read };
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
  cache.drop("b");
  await read("a");
  cache.drop("a");
  await read("a");
  expect(reads).toEqual(["a", "a", "a"]);
});

test("[TOK-009] what rests on a thing that was dropped while it was being read is not kept", async () => {
  const { cache, read, reads } = cacheOf();
  for (const drop of [() => cache.drop("a"), () => cache.drop("b"), cache.dropAll]) {
    const reading = read("a+b");
    drop();
    await reading;
  }
  const reading = read("a+b");
  cache.drop("c");
  await reading;
  await read("a+b");
  expect(reads).toEqual(["a+b", "a+b", "a+b", "a+b"]);
});

test("[TOK-009] what is dropped is all that rests on the thing, however it came there, and nothing else is looked at", async () => {
  const { cache, read, reads, looks } = cacheOf();
  const keys = ["a+b", "b+c", "c+c", "d"];
  for (const key of keys) await read(key);
  await Promise.all([read("e+b"), read("e+b")]);
  reads.length = 0;
  looks.length = 0;
  cache.drop("b");
  expect(looks).toEqual(["a+b", "b+c", "e+b"]);
  cache.drop("b");
  cache.drop("nothing");
  expect(looks).toHaveLength(3);
  for (const key of [...keys, "e+b"]) await read(key);
  expect(reads).toEqual(["a+b", "b+c", "e+b"]);
  cache.dropAll();
  for (const key of keys) await read(key);
  expect(reads.slice(3)).toEqual(keys);
});

test("what no longer is in the cache is not looked for when its things are dropped", async () => {
  const { cache, clock, read, looks } = cacheOf(2);
  for (const key of ["a+x", "b+x", "c+x"]) await read(key);
  clock.nowMs = 1000;
  await read("b+x");
  looks.length = 0;
  cache.drop("a");
  expect(looks).toEqual([]);
  cache.drop("x");
  expect(looks.sort()).toEqual(["b+x", "c+x"]);
});

test("a read that fails leaves nothing behind", async () => {
  const { cache, read, reads } = cacheOf();
  const failing = cache.read("a", () => Promise.reject(new Error("away")));
  await expect(failing).rejects.toThrow("away");
  cache.drop("a");
  await read("a");
  await read("a");
  expect(reads).toEqual(["a"]);
});

test("the least recently used is dropped first", async () => {
  const { read, reads } = cacheOf(2);
  for (const key of ["a", "b", "a", "c", "a", "b"]) await read(key);
  expect(reads).toEqual(["a", "b", "c", "b"]);
});
