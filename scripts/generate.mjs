// Generates the Prisma client, unless the one that is there was made from this schema.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";

const output = "src/store/generated";
const stamp = `${output}/.made-from`;
const inputs = ["prisma/schema.prisma", "node_modules/prisma/package.json"];
const hash = createHash("sha256");
for (const input of inputs) hash.update(readFileSync(input));
const madeFrom = hash.digest("hex");

if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== madeFrom) {
  execFileSync("prisma", ["generate", "--no-hints"], { stdio: ["ignore", "ignore", "inherit"] });
  writeFileSync(stamp, madeFrom);
}
