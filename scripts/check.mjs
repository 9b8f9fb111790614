// Everything that CI runs besides the tests. All checks, two at a time, one line each: `npm run check`.
// One or more of them, with all they found: `npm run check -- NAME…`.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

const names = [
  "types",
  "lint",
  "rooms",
  "organization",
  "unused",
  "browser",
  "size",
  "generated",
  "error-pages",
  "vocabulary",
  "references",
  "threat-model",
  "notices",
  "image",
];
const atOnce = 2;
const problemsShownMax = 40;
const asChild = process.argv[2] === "--child";
const wanted = process.argv.slice(asChild ? 3 : 2);
const unknown = wanted.filter((name) => !names.includes(name));

if (wanted.includes("--help") || unknown.length > 0) {
  console.info(`npm run check [-- NAME…]\n${names.join(" ")}`);
  process.exitCode = wanted.includes("--help") ? 0 : 2;
} else if (asChild) {
  process.send(await outcomeOf(wanted[0]));
} else {
  const waiting = wanted.length > 0 ? [...wanted] : [...names];
  const results = [];
  const worker = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift())
      results.push(await run(name));
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  report(results);
}

async function outcomeOf(name) {
  try {
    const { check } = await import(`./checks/${name}.ts`);
    return await check();
  } catch (failure) {
    return { seen: "", problems: [failure.stack ?? String(failure)] };
  }
}

/** Runs one check in a process of its own; one that ends without an outcome has failed. */
async function run(name) {
  const started = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers();
  const child = fork(fileURLToPath(import.meta.url), ["--child", name]);
  let outcome = { seen: "", problems: ["it ended without an outcome"] };
  child.on("message", (message) => {
    outcome = message;
  });
  child.on("error", reject);
  child.on("exit", resolve);
  await promise;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const passed = outcome.problems.length === 0;
  const told = passed ? outcome.seen : `${outcome.problems.length} problems; alone: npm run check -- ${name}`;
  console.info(`${passed ? "ok    " : "FAILED"} ${name.padEnd(12)} ${seconds.padStart(5)} s  ${told}`);
  return { name, ...outcome };
}

function report(results) {
  for (const { name, problems } of results) {
    if (problems.length === 0) continue;
    const shown = results.length === 1 ? problems : problems.slice(0, problemsShownMax);
    console.info(`\n${name}:\n${shown.map((problem) => `  ${problem.replaceAll("\n", "\n  ")}`).join("\n")}`);
    if (shown.length < problems.length) console.info(`  and ${problems.length - shown.length} more`);
  }
  const failed = results.filter(({ problems }) => problems.length > 0).length;
  console.info(`\nchecks: ${results.length - failed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
