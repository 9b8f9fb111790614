import { readFileSync } from "node:fs";
import { thirdPartyNotices } from "../third-party-notices.ts";
import type { Outcome } from "./outcome.ts";

const path = "THIRD-PARTY-NOTICES.md";

/** The notices are those of the production dependencies as they are locked and installed now. */
export function check(): Outcome {
  const wanted = thirdPartyNotices();
  const packages = wanted.split("\n").filter((line) => /^\| .* \| \d/.test(line)).length;
  const problems =
    readFileSync(path, "utf8") === wanted ? [] : [`${path} is not up to date: npm run notices`];
  if (packages === 0) problems.push("no package was found");
  return { seen: `${packages} packages`, problems };
}
