// What the run says of the machine and of the rows.
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";

/** What the figures depend on. `fsyncMicros` is the median for 4 KiB where the data directories lie. */
export function machine() {
  return {
    processor: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    node: process.version,
    loadBefore: load(),
    fsyncMicros: Math.round(fsyncMicros()),
  };
}

/** Processes that want to run, over the last minute. What was there before the run takes CPU from it. */
export function load() {
  return Number(loadavg()[0]?.toFixed(1));
}

function fsyncMicros() {
  const directory = mkdtempSync(join(tmpdir(), "countersign-bench-"));
  const file = openSync(join(directory, "file"), "w");
  const page = Buffer.alloc(4096, 1);
  const took = Array.from({ length: 100 }, () => {
    const started = performance.now();
    writeSync(file, page);
    fsyncSync(file);
    return (performance.now() - started) * 1000;
  });
  closeSync(file);
  rmSync(directory, { recursive: true, force: true });
  return took.sort((one, other) => one - other)[50];
}

/** Prints the table and what it comes to. */
export function printTable(about, rows, failures) {
  const head = ["work", "CPU µs", "server", "floor", "× floor", "per second", "p50 µs", "p99 µs", "MiB"];
  const cells = rows.map((row) => [
    row.work,
    figure(row.cpuMicros),
    figure(row.serverCpuMicros),
    floorText(row.floor),
    figure(row.floorRatio),
    figure(row.ratePerSecond),
    figure(row.p50Micros),
    figure(row.p99Micros),
    figure(row.memoryMiB),
    (row.budgets ?? []).map(budgetText).join(", "),
    row.verdict,
  ]);
  const lines = [[...head, "budget", "verdict"], ...cells];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const text = (line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
      .join("  ");
  const { processor, cores, node, loadBefore, loadAfter, fsyncMicros: fsync } = about;
  console.info(`${processor}, ${cores} cores, Node ${node}, fsync ${fsync} µs`);
  console.info(`load ${loadBefore} before and ${loadAfter} after${loadBefore > 1 ? `; ${disturbed}` : ""}\n`);
  console.info(lines.map(text).join("\n"));
  const missed = rows.filter(({ verdict }) => verdict === "missed").length;
  const failed = failures.map((name) => `, ${name} FAILED`).join("");
  console.info(`\n${rows.length} measured, ${missed} over budget${failed}`);
}

const disturbed = "other work ran beside this one, which costs times and rates dearly, and CPU up to a half";

function figure(value) {
  if (value === undefined) return "";
  return value < 100 ? value.toPrecision(3) : Math.round(value).toLocaleString("en");
}

/** A floor says of what it is, unless it is of CPU. */
function floorText({ cpuMicros, p50Micros, memoryMiB } = {}) {
  if (cpuMicros !== undefined) return figure(cpuMicros);
  if (p50Micros !== undefined) return `${figure(p50Micros)} p50`;
  return memoryMiB === undefined ? "" : `${figure(memoryMiB)} MiB`;
}

function budgetText(budget) {
  const unit = { cpuMicros: "µs CPU", p50Micros: "µs p50", ratePerSecond: "per second", memoryMiB: "MiB" };
  const [sign, limit] = "most" in budget ? ["≤", budget.most] : ["≥", budget.least];
  return `${sign} ${limit.toLocaleString("en")} ${unit[budget.of]}`;
}
