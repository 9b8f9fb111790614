// Runs each bench module of this folder and prints one table, or with --json one JSON value.
import { fork } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));
const frame = ["row.ts", "measure.ts", "load.ts", "floor.ts", "floor-server.ts"];
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".ts") && !frame.includes(name))
  .map((name) => name.slice(0, -".ts".length))
  .sort();
const usage = `npm run bench [-- [--json] [NAME…]]

Measures each work beside its floor: the least that it could cost on this machine now. CPU is that of the process that
does the work. A missed budget is told as missed and does not fail the run; a bench that can't be run does.

${names.join(" ")}`;

const [asChild, childName] = process.argv[2] === "--child" ? [true, process.argv[3]] : [false];
const flags = process.argv.slice(2).filter((word) => word.startsWith("--"));
const wanted = process.argv.slice(2).filter((word) => !word.startsWith("--"));

if (asChild) {
  const [{ bench }, { verdictOf }] = await Promise.all([import(`./${childName}.ts`), import("./row.ts")]);
  const rows = await bench();
  process.send(rows.map((row) => ({ ...row, verdict: verdictOf(row) })));
  process.disconnect();
} else if (flags.includes("--help")) {
  console.info(usage);
} else if (flags.some((flag) => flag !== "--json") || wanted.some((name) => !names.includes(name))) {
  console.error(usage);
  process.exitCode = 2;
} else {
  await runAll(wanted.length > 0 ? wanted : names, flags.includes("--json"));
}

async function runAll(chosen, asJson) {
  const rows = [];
  const failures = [];
  for (const name of chosen) {
    const result = await run(name);
    if (result === undefined) failures.push(name);
    else rows.push(...result);
  }
  if (asJson) console.info(JSON.stringify({ rows, failures }));
  else printTable(rows, failures);
  if (failures.length > 0 || rows.length === 0) process.exitCode = 1;
}

/** The rows of one module, from a process of its own; undefined when it failed. */
async function run(name) {
  const { promise, resolve, reject } = Promise.withResolvers();
  let rows;
  const child = fork(fileURLToPath(import.meta.url), ["--child", name], {
    execArgv: ["--conditions=source"],
    // What a bench prints goes to the error stream: standard output is the table's.
    stdio: ["ignore", 2, 2, "ipc"],
  });
  child.on("message", (message) => {
    rows = message;
  });
  child.on("error", reject);
  child.on("exit", (code) => resolve(code === 0 ? rows : undefined));
  return promise;
}

function printTable(rows, failures) {
  const cells = rows.map((row) => [
    row.work,
    micros(row.cpuMicros),
    micros(row.floorMicros),
    Math.round(row.ratePerSecond).toLocaleString("en"),
    micros(row.p50Micros),
    micros(row.p99Micros),
    budgetText(row.budget),
    row.verdict,
  ]);
  const head = ["work", "CPU µs", "floor µs", "per second", "p50 µs", "p99 µs", "budget", "verdict"];
  const widths = head.map((_, column) => Math.max(...[head, ...cells].map((line) => line[column].length)));
  const line = (texts) =>
    texts
      .map((text, column) => (column === 0 ? text.padEnd(widths[column]) : text.padStart(widths[column])))
      .join("  ");
  console.info([line(head), ...cells.map(line)].join("\n"));
  const missed = rows.filter(({ verdict }) => verdict === "missed").length;
  console.info(
    `\n${rows.length} measured, ${missed} over budget${failures.map((name) => `, ${name} FAILED`).join("")}`,
  );
}

function micros(value) {
  if (value === undefined) return "";
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

function budgetText(budget) {
  if (budget === undefined) return "";
  const unit = { cpuMicros: "µs CPU", p50Micros: "µs", ratePerSecond: "per second" }[budget.of];
  return `${"most" in budget ? `≤ ${budget.most}` : `≥ ${budget.least}`} ${unit}`;
}
