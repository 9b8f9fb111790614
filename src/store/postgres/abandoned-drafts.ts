import { readdirSync, realpathSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isAlive, killProgramsOn } from "./process.ts";

/** Removes what processes that died while making a cluster in this data directory left behind. */
export async function discardAbandonedDrafts(dataDir: string): Promise<void> {
  const parent = realpathSync(dataDir);
  for (const name of readdirSync(parent)) {
    const maker = /^postgres\.making-(\d+)-[0-9a-f]+$/.exec(name)?.[1];
    if (maker === undefined || isAlive(Number(maker))) continue;
    const draft = join(parent, name);
    // They outlive their maker, and would go on writing what is removed here.
    await killProgramsOn(draft);
    rmSync(draft, { recursive: true, force: true, maxRetries: 5 });
  }
}
