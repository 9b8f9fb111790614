import type { JsonValue } from "@countersign/sdk/model/canonical-json";
import { actorChains, recordedActs } from "./cases/actor-chains.ts";
import { agentChecksums } from "./cases/agent-checksums.ts";
import { coverCases } from "./cases/covers.ts";
import { narrowingCases } from "./cases/narrowing.ts";
import { onwardCases } from "./cases/onward.ts";
import { permitCases } from "./cases/permits.ts";
import { recordedTokens } from "./cases/recorded-tokens.ts";
import { tokenCases } from "./cases/tokens.ts";
import { type Check, decide } from "./decide.ts";

/** One case: its input, and by hand whether it is accepted, or else in which dimension it is refused, and with which fault. */
export interface Case {
  readonly name: string;
  readonly input: { readonly [name: string]: JsonValue | undefined };
  readonly expected: boolean | string;
}

export interface VectorFile {
  readonly name: string;
  readonly text: string;
  readonly cases: number;
}

const tables: readonly { readonly name: string; readonly check: Check; readonly cases: readonly Case[] }[] = [
  { name: "authorization-details.json", check: "covers", cases: coverCases },
  { name: "tool-calls.json", check: "permits", cases: permitCases },
  { name: "narrowing.json", check: "narrow", cases: narrowingCases },
  { name: "tokens.json", check: "narrow-token", cases: tokenCases },
  { name: "onward.json", check: "narrow-onward", cases: onwardCases },
  { name: "actor-chains.json", check: "act", cases: actorChains },
  { name: "actor-splices.json", check: "act-recorded", cases: recordedActs },
  { name: "token-splices.json", check: "token-recorded", cases: recordedTokens },
  { name: "agent-checksums.json", check: "agent-checksum", cases: agentChecksums },
];

/**
 * The published files, as they have to be.
 *
 * @throws Error for a case of which the SDK makes something else than the table says
 */
export function vectorFiles(): readonly VectorFile[] {
  return tables.map(({ name, check, cases }) => {
    const lines = cases.map((one) => ({ name: one.name, ...one.input, ...decidedAsExpected(check, one) }));
    return { name, text: vectorText(check, lines), cases: cases.length };
  });
}

/** A vector file: one line for each case. */
export function vectorText(check: Check, cases: readonly object[]): string {
  const lines = cases.map((one) => `    ${JSON.stringify(one)}`);
  return `{\n  "version": 1,\n  "check": "${check}",\n  "cases": [\n${lines.join(",\n")}\n  ]\n}\n`;
}

function decidedAsExpected(check: Check, { name, input, expected }: Case): object {
  const result = decide(check, input);
  const [accepted] = Object.values(result);
  const { dimension, fault } = result;
  const refusedAs = [dimension, fault].filter((part) => part !== undefined).join(" ");
  const outcome = accepted === false && typeof expected === "string" ? refusedAs : accepted;
  if (outcome !== expected) throw new Error(`${check}: ${name}: ${JSON.stringify(result)}, not ${expected}`);
  return result;
}
