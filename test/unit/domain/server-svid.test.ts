import { expect, it } from "vitest";
import { isServerSvidDue, type ServerSvidStanding } from "../../../src/domain/server-svid.ts";
import { bundleRefreshSeconds } from "../../../src/domain/signing-key.ts";

const aMinuteMs = 60_000;
const issuedAtMs = 1_000 * aMinuteMs;
const shown = { authority: "one", issuedAtMs, expiresAtMs: issuedAtMs + 60 * aMinuteMs };
const halfOver = issuedAtMs + 30 * aMinuteMs;
const knownAfterMs = 2 * bundleRefreshSeconds * 1000;
const known = { certifiedAtMs: 0, chain: [] };

const isDue = (nowMs: number, standing: Partial<ServerSvidStanding> = {}) =>
  isServerSvidDue(shown, { verifies: true, taintedIds: [], active: known, ...standing }, nowMs);

it("is due from half of its life on, and not before", () => {
  expect(isDue(halfOver - 1)).toBe(false);
  expect(isDue(halfOver)).toBe(true);
});

it("is due at once when its own authority is tainted, and not when another is", () => {
  expect(isDue(issuedAtMs, { taintedIds: ["one"] })).toBe(true);
  expect(isDue(issuedAtMs, { taintedIds: ["another"] })).toBe(false);
});

it("stays while the next authority is too new for a verifier to know, though its own is tainted", () => {
  const isDueBy = (certifiedAtMs: number | undefined) =>
    isDue(halfOver, { taintedIds: ["one"], active: { certifiedAtMs, chain: [] } });
  expect(isDueBy(undefined)).toBe(false);
  expect(isDueBy(halfOver - knownAfterMs + 1)).toBe(false);
  expect(isDueBy(halfOver - knownAfterMs)).toBe(true);
});

it("waits for no authority that rests on one of the operator's", () => {
  expect(isDue(halfOver, { active: { certifiedAtMs: halfOver, chain: [new Uint8Array()] } })).toBe(true);
});

it("is due whenever it verifies no more, whoever signs the next one", () => {
  const active = { certifiedAtMs: undefined, chain: [] };
  expect(isDue(issuedAtMs, { verifies: false, active })).toBe(true);
});
