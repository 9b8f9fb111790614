// Writes the published vectors: node --conditions=source test/vectors/generate.ts
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { vectorFiles } from "./vector-files.ts";

const folder = fileURLToPath(new URL(".", import.meta.url));
const files = vectorFiles();
for (const name of readdirSync(folder)) if (name.endsWith(".json")) rmSync(folder + name);
for (const { name, text, cases } of files) {
  writeFileSync(folder + name, text);
  console.info(`${name}: ${cases} cases`);
}
