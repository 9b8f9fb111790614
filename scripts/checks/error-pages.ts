import { existsSync, readdirSync, readFileSync } from "node:fs";
import { errorCodes } from "../../sdk/typescript/src/model/error-codes.ts";
import { errorTable } from "../../src/domain/error-table.ts";
import type { Outcome } from "./outcome.ts";

const folder = "docs/errors";
const charsMin = 300;

/** Each error code has a page that names its status and OAuth error as the table does, and no page lacks its code. */
export function check(): Outcome {
  const problems: string[] = [];
  for (const code of errorCodes) {
    const path = `${folder}/${code}.md`;
    if (!existsSync(path)) {
      problems.push(`${path} is missing`);
      continue;
    }
    const page = readFileSync(path, "utf8");
    const { status, oauthError, title } = errorTable[code];
    const head = `# ${code}\n\n${title}. HTTP ${status}; at OAuth endpoints \`${oauthError}\`.\n`;
    if (!page.startsWith(head)) problems.push(`${path} does not begin as the error table says:\n${head}`);
    if (page.length < head.length + charsMin) problems.push(`${path} says too little to help anyone`);
  }
  const known = new Set(errorCodes.map((code) => `${code}.md`));
  const strangers = readdirSync(folder).filter((name) => !known.has(name));
  problems.push(...strangers.map((name) => `${folder}/${name} is of no error code`));
  return { seen: `${errorCodes.length} codes`, problems };
}
