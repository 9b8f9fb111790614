import { expect, test } from "vitest";
import { watchPublicationLag } from "../../../src/app/publication-lag.ts";

function watch() {
  let nowMs = 0;
  const late = watchPublicationLag(() => nowMs);
  return (atMs: number, nextIndex: number, publishedSize: number) => {
    nowMs = atMs;
    return late([{ id: "default", nextIndex, publishedSize }]);
  };
}

test("[FLT-010] a log that never stands still is not late while its checkpoints follow", () => {
  const look = watch();
  for (let seconds = 0; seconds < 60; seconds++) {
    expect(look(seconds * 1000, (seconds + 1) * 500, seconds * 500)).toEqual([]);
  }
});

test("[FLT-010] a log is late when an entry waits for its checkpoint for more than ten seconds", () => {
  const look = watch();
  expect(look(0, 8, 5)).toEqual([]);
  expect(look(10_000, 900, 7)).toEqual([]);
  expect(look(10_001, 900, 7)).toEqual(["default"]);
  expect(look(10_002, 900, 8)).toEqual([]);
  expect(look(20_001, 900, 8)).toEqual([]);
  expect(look(20_003, 900, 8)).toEqual(["default"]);
});
