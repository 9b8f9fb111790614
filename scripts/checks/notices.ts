import { readFileSync } from "node:fs";
import { isAccepted, thirdPartyNotices } from "../third-party-notices.ts";
import type { Outcome } from "./outcome.ts";

const path = "THIRD-PARTY-NOTICES.md";

const planted = {
  MIT: true,
  "MIT OR GPL-3.0": true,
  "MIT AND GPL-3.0": false,
  "(MIT AND ISC)": true,
  "ISC AND (GPL-3.0 OR MIT)": true,
  "ISC OR MIT AND GPL-3.0": true,
  "(ISC OR MIT) AND GPL-3.0": false,
  "MIT and ISC": false,
};

/** The notices are those of the production dependencies as they are locked and installed now. */
export function check(): Outcome {
  const wanted = thirdPartyNotices();
  const packages = wanted.split("\n").filter((line) => /^\| .* \| \d/.test(line)).length;
  const problems =
    readFileSync(path, "utf8") === wanted ? [] : [`${path} is not up to date: npm run notices`];
  if (packages === 0) problems.push("no package was found");
  const misjudged = Object.entries(planted).filter(([license, accepted]) => isAccepted(license) !== accepted);
  problems.push(...misjudged.map(([license]) => `a planted licence is misjudged: ${license}`));
  return { seen: `${packages} packages`, problems };
}
