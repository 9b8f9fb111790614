// Has Go's golang.org/x/mod/sumdb check a log that the server's own code wrote. Ends with 77 where Go is not to be had.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const here = import.meta.dirname;
const go = (...args) =>
  spawnSync("go", args, { cwd: here, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

function cannotRun(why) {
  console.info(why);
  process.exit(77);
}

if (go("version").status !== 0) cannotRun("go is not installed");
const download = go("mod", "download");
if (download.status !== 0)
  cannotRun(`golang.org/x/mod can't be had: ${download.stderr.trim().split("\n").at(-1)}`);

const directory = mkdtempSync(join(tmpdir(), "countersign-go-sumdb-"));
try {
  const script = join(here, "make-vectors.ts");
  const made = spawnSync(process.execPath, ["--conditions=source", script, directory], { stdio: "inherit" });
  if (made.status !== 0) throw new Error("the log could not be written");
  const checked = go("run", ".", directory);
  process.stderr.write(checked.stderr);
  process.stdout.write(checked.stdout);
  process.exitCode = checked.status ?? 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
