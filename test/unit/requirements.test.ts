import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { citationsIn } from "../citations.ts";
import { requirements } from "../requirements.ts";

const cited = new Set(
  globSync("test/**/*.test.ts").flatMap((file) => citationsIn(readFileSync(file, "utf8"))),
);

test("every requirement is cited by a test", () => {
  expect(Object.keys(requirements).filter((id) => !cited.has(id))).toEqual([]);
});

test("every citation names a requirement", () => {
  expect([...cited].filter((id) => !(id in requirements))).toEqual([]);
});
