import { execFile } from "node:child_process";

/** How a command ended: its exit code (null when a signal ended it) and what it wrote. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a tool of node_modules/.bin to its end. A tool that can't be started rejects: that is never a pass. */
export function runTool(name: string, args: readonly string[], directory = process.cwd()): Promise<Ended> {
  const { promise, resolve, reject } = Promise.withResolvers<Ended>();
  const options = { cwd: directory, maxBuffer: 64 * 1024 * 1024 };
  execFile(`${process.cwd()}/node_modules/.bin/${name}`, args, options, (error, stdout, stderr) => {
    if (error && typeof error.code !== "number" && error.signal == null) reject(error);
    else resolve({ code: error ? (typeof error.code === "number" ? error.code : null) : 0, stdout, stderr });
  });
  return promise;
}
