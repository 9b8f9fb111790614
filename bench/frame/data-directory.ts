import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Closing, createClosing } from "../../src/app/closing.ts";
import { findCluster } from "../../src/store/postgres/cluster.ts";
import { stop } from "../../src/store/postgres/server.ts";

/** Makes a throwaway data directory. At the end its PostgreSQL is stopped if one still runs, and all of it removed. */
export function makeDataDirectory(closing: Closing): string {
  const directory = mkdtempSync(join(tmpdir(), "countersign-bench-"));
  // PostgreSQL may have to run as another account; what is secret lies in directories of its own.
  chmodSync(directory, 0o755);
  const dataDir = join(directory, "data");
  closing.add(async () => {
    const cluster = findCluster(dataDir);
    if (cluster !== undefined) await stop(cluster);
    rmSync(directory, { recursive: true, force: true });
  });
  return dataDir;
}

/** Runs a part whose things are closed as soon as it is over, or with everything else when that comes first. */
export async function closedAfter<Result>(
  outer: Closing,
  part: (closing: Closing) => Promise<Result>,
): Promise<Result> {
  const closing = createClosing();
  outer.add(closing.closeAll);
  try {
    return await part(closing);
  } finally {
    await closing.closeAll();
  }
}
