import { readFileSync } from "node:fs";
import { ledgerEntryTypes } from "../../sdk/typescript/src/contract/ledger-entry.ts";
import { errorCodes } from "../../sdk/typescript/src/model/error-codes.ts";
import { productSources } from "./files.ts";
import type { Outcome } from "./outcome.ts";

/** Tells each code, and gives none. */
const errorTablePath = "src/domain/error-table.ts";

/** Every error code and every type of ledger entry is one that the server gives: nobody prepares for what never comes. */
export function check(): Outcome {
  const paths = productSources().filter((path) => path.startsWith("src/") && path !== errorTablePath);
  const text = paths.map((path) => readFileSync(path, "utf8")).join("\n");
  const words = [...errorCodes, ...ledgerEntryTypes];
  const problems = neverGiven(words, text).map((word) => `"${word}" is never given by src/`);
  if (neverGiven(["internal", "planted"], text).join() !== "planted") {
    problems.push("the planted word is not found");
  }
  return { seen: `${words.length} words`, problems };
}

function neverGiven(words: readonly string[], text: string): string[] {
  return words.filter((word) => !text.includes(`"${word}"`));
}
