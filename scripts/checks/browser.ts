import { build, type Plugin } from "esbuild";
import { productSources } from "./files.ts";
import type { Outcome } from "./outcome.ts";
import { withPlanted } from "./planted.ts";

const pureParts = ["model", "contract", "tlog", "verify"];

/** Each file of the SDK's pure parts, with all it imports, bundles for a browser. */
export async function check(): Promise<Outcome> {
  const problems: string[] = [];
  const files: string[] = [];
  for (const part of pureParts) {
    const own = productSources().filter((path) => path.startsWith(`sdk/typescript/src/${part}/`));
    if (own.length === 0) problems.push(`sdk/typescript/src/${part} has no file to bundle`);
    files.push(...own);
  }
  problems.push(...(await bundleErrors(files, process.cwd())), ...(await proof()));
  return { seen: `${files.length} files bundled`, problems };
}

async function bundleErrors(files: readonly string[], directory: string): Promise<string[]> {
  const options = { bundle: true, write: false, outdir: "out", format: "esm", platform: "browser" } as const;
  try {
    await build({
      ...options,
      absWorkingDir: directory,
      entryPoints: [...files],
      conditions: ["source"],
      logLevel: "silent",
      plugins: [refuseNode],
    });
    return [];
  } catch (failure) {
    if (!(failure instanceof Error && "errors" in failure && Array.isArray(failure.errors))) throw failure;
    return failure.errors.map(({ text, location }) => `${location?.file}:${location?.line}: ${text}`);
  }
}

/** Some bundlers quietly put an empty module in the place of a `node:` one; here it is an error. */
const refuseNode: Plugin = {
  name: "refuse-node",
  setup(build) {
    build.onResolve({ filter: /^node:/ }, ({ path }) => ({
      errors: [{ text: `${path} does not run in a browser` }],
    }));
  },
};

function proof(): Promise<string[]> {
  const planted = {
    "a.ts": 'import { b } from "./b.ts";\nexport const a = b;\n',
    "b.ts": 'import { readFileSync } from "node:fs";\nexport const b = readFileSync;\n',
    "c.ts": 'import { createHash } from "crypto";\nexport const c = createHash;\n',
  };
  return withPlanted(planted, async (directory) => {
    const errors = await bundleErrors(["a.ts", "c.ts"], directory);
    return errors.some((text) => text.startsWith("b.ts")) && errors.some((text) => text.startsWith("c.ts"))
      ? []
      : ["the bundle does not find its planted import of Node"];
  });
}
