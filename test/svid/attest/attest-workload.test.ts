import { parseSelector, type Selector } from "@countersign/sdk/model/selector";
import { expect, it } from "vitest";
import type { CostlyKind } from "../../../src/domain/entry-index.ts";
import {
  createWorkloadAttestation,
  selectorsMax,
} from "../../../src/svid/attest/workload/attest-workload.ts";
import { selectorsOf, type WorkloadAttestor } from "../../../src/svid/attest/workload/attestor.ts";
import { peerOf } from "./process.ts";

const peer = peerOf(process.pid);
const attestor = (name: string, ...found: string[]): WorkloadAttestor => ({
  name,
  attest: async () => found.map((text) => parseSelector(text) as Selector),
});

it("[ENT-105] what one attestor fails to find is missing, told of once, and takes nothing from the others", async () => {
  const fault = new Error("no answer");
  const failing: WorkloadAttestor = { name: "k8s", attest: () => Promise.reject(fault) };
  const throwing: WorkloadAttestor = {
    name: "other",
    attest: () => {
      throw fault;
    },
  };
  const failures: unknown[] = [];
  const attest = createWorkloadAttestation([failing, attestor("unix", "unix:uid:1"), throwing], {
    onFailed: (name, error) => failures.push([name, error]),
    now: Date.now,
  });
  expect(await attest(peer)).toEqual(["unix:uid:1"]);
  expect(failures).toHaveLength(2);
  expect(failures).toEqual(
    expect.arrayContaining([
      ["k8s", fault],
      ["other", fault],
    ]),
  );
});

it("[ENT-105] each selector is told once, and no more than so many, those of the first attestors first", async () => {
  const many = Array.from({ length: selectorsMax + 10 }, (_, place) => `unix:supplementary_gid:${place}`);
  const attest = createWorkloadAttestation(
    [attestor("one", "unix:uid:1", "unix:uid:1"), attestor("two", "unix:uid:1", ...many)],
    { onFailed: () => expect.unreachable(), now: Date.now },
  );
  expect(await attest(peer)).toEqual(["unix:uid:1", ...many.slice(0, selectorsMax - 1)]);
});

it("[ENT-103] what is no selector is left out, not cut", () => {
  const values = [undefined, "", "a\nb", "x".repeat(600), "\ud800", "fine", 0] as const;
  expect(
    selectorsOf(
      "unix",
      values.map((value) => ["path", value] as const),
    ),
  ).toEqual(["unix:path:fine", "unix:path:0"]);
});

it("[ENT-105] what was found is believed of one connection for a second, and of no other", async () => {
  let nowMs = 0;
  let asked = 0;
  const counting: WorkloadAttestor = {
    name: "unix",
    attest: async () => [parseSelector(`unix:uid:${++asked}`) as Selector],
  };
  const attest = createWorkloadAttestation([counting], {
    onFailed: () => expect.unreachable(),
    now: () => nowMs,
  });
  const one = peerOf(process.pid);
  const other = peerOf(process.pid);
  expect(await Promise.all([attest(one), attest(one), attest(other)])).toEqual([
    ["unix:uid:1"],
    ["unix:uid:1"],
    ["unix:uid:2"],
  ]);
  nowMs = 999;
  expect(await attest(one)).toEqual(["unix:uid:1"]);
  nowMs = 1_000;
  expect(await attest(one)).toEqual(["unix:uid:3"]);
  await expect(attest({ ...one, isAlive: () => false })).rejects.toMatchObject({ code: "not_attested" });
});

it("[ENT-061] what was found is not believed any more once another kind is wanted", async () => {
  let asked = 0;
  const counting: WorkloadAttestor = {
    name: "unix",
    attest: async (_, wanted) => [parseSelector(`unix:uid:${++asked}:${wanted?.size}`) as Selector],
  };
  const attest = createWorkloadAttestation([counting], {
    onFailed: () => expect.unreachable(),
    now: () => 0,
  });
  const wanted = new Set<CostlyKind>();
  expect(await attest(peer, wanted)).toEqual(["unix:uid:1:0"]);
  expect(await attest(peer, wanted)).toEqual(["unix:uid:1:0"]);
  wanted.add("unix:path");
  expect(await attest(peer, wanted)).toEqual(["unix:uid:2:1"]);
});
