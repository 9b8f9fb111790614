// Runs every test/interop/<name>/run.mjs: programs of others against what we make. Each ends with 0 when all of it
// passed, with 77 when it can't run here (its last line says why), and with anything else when it failed. A closing line
// `N passed, N failed[, N skipped]` of its own is counted; otherwise it counts as one.
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const cannotRun = 77;
const folder = fileURLToPath(new URL(".", import.meta.url));
const names = readdirSync(folder, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && existsSync(`${folder}${entry.name}/run.mjs`))
  .map(({ name }) => name)
  .sort();
const total = { passed: 0, failed: 0, skipped: 0 };

for (const name of names) {
  console.info(`\n== ${name}`);
  const { code, lastLine } = await run(name);
  const counted = /(\d+) passed, (\d+) failed(?:, (\d+) skipped)?/.exec(lastLine);
  if (code === cannotRun) {
    total.skipped++;
    console.info(`${name} did not run: ${lastLine}`);
  } else {
    const failed = Number(counted?.[2] ?? 0);
    total.skipped += Number(counted?.[3] ?? 0);
    total.passed += Number(counted?.[1] ?? (code === 0 ? 1 : 0));
    total.failed += code === 0 ? failed : Math.max(failed, 1);
  }
}
if (names.length === 0) console.info("there is no interop test");
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
console.info(`\ninterop: ${total.passed} passed, ${total.failed} failed${skipped}`);
process.exitCode = total.failed > 0 || names.length === 0 ? 1 : 0;

function run(name) {
  const { promise, resolve, reject } = Promise.withResolvers();
  const child = spawn(process.execPath, [`${folder}${name}/run.mjs`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let tail = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    process.stdout.write(text);
    tail = (tail + text).slice(-4096);
  });
  child.on("error", reject);
  child.on("close", (code) => resolve({ code, lastLine: tail.trimEnd().split("\n").at(-1) ?? "" }));
  return promise;
}
