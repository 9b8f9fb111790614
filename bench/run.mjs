// Runs each bench module of this folder and prints one table, or with --json one JSON value.
import { fork } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { load, machine, printTable } from "./frame/report.mjs";

const folder = fileURLToPath(new URL(".", import.meta.url));
const child = fileURLToPath(new URL("./frame/child.ts", import.meta.url));
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".ts"))
  .map((name) => name.slice(0, -".ts".length))
  .sort();
const usage = `npm run bench [-- [--json] [NAME…]]

Measures each work beside its floor: the least that it could cost on this machine now. CPU is that of the server and its
PostgreSQL together, on all cores, and the budgets are held against it; the server's own share stands beside it. A
missed budget is told as missed and does not fail the run; a bench that can't be run does.

${names.join(" ")}`;

const flags = process.argv.slice(2).filter((word) => word.startsWith("--"));
const wanted = process.argv.slice(2).filter((word) => !word.startsWith("--"));

if (flags.includes("--help")) {
  console.info(usage);
} else if (flags.some((flag) => flag !== "--json") || wanted.some((name) => !names.includes(name))) {
  console.error(usage);
  process.exitCode = 2;
} else {
  await runAll(wanted.length > 0 ? wanted : names, flags.includes("--json"));
}

async function runAll(chosen, asJson) {
  const before = machine();
  const rows = [];
  const failures = [];
  for (const name of chosen) {
    const result = await run(name);
    if (result === undefined) failures.push(name);
    else rows.push(...result);
  }
  const about = { ...before, loadAfter: load() };
  if (asJson) console.info(JSON.stringify({ machine: about, rows, failures }));
  else printTable(about, rows, failures);
  if (failures.length > 0 || rows.length === 0) process.exitCode = 1;
}

/** The rows of one module, from a process of its own; undefined when it failed. */
async function run(name) {
  console.error(`measuring: ${name}`);
  const { promise, resolve, reject } = Promise.withResolvers();
  let rows;
  const running = fork(child, [name], {
    execArgv: ["--conditions=source"],
    // What a bench prints goes to the error stream: standard output is the table's.
    stdio: ["ignore", 2, 2, "ipc"],
  });
  const endEarly = (signal) => {
    running.kill(signal);
    running.once("exit", () => process.exit(130));
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, endEarly);
  running.on("message", (message) => {
    rows = message;
  });
  running.on("error", reject);
  running.on("exit", (code) => resolve(code === 0 ? rows : undefined));
  return promise.finally(() => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.off(signal, endEarly);
  });
}
