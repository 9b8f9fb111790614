// Has Python, without our code, decide the published vectors and random ones. Ends with 77 where Python is not to be had.
import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const here = import.meta.dirname;
const python = (...args) =>
  spawnSync("python3", ["-B", ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

const version = python("-c", "import sys; print(sys.version_info >= (3, 9))");
if (version.status !== 0 || version.stdout.trim() !== "True") {
  console.info("python3 from 3.9 on is not installed");
  process.exit(77);
}

const directory = mkdtempSync(join(tmpdir(), "countersign-vectors-"));
try {
  const script = join(here, "make-cases.ts");
  const made = spawnSync(process.execPath, ["--conditions=source", script, directory], { stdio: "inherit" });
  if (made.status !== 0) throw new Error("the random cases could not be written");
  const files = [join(here, "../../vectors"), directory].flatMap((folder) =>
    globSync(`${folder}/*.json`).sort(),
  );
  const checked = python(join(here, "check.py"), ...files);
  process.stdout.write(checked.stdout);
  process.exitCode = checked.status ?? 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
