import { mkdirSync, symlinkSync } from "node:fs";
import { cruise, type IViolation } from "dependency-cruiser";
import extractOptions from "dependency-cruiser/config-utl/extract-depcruise-options";
import type { Outcome } from "./outcome.ts";
import { withPlanted } from "./planted.ts";

const config = ".dependency-cruiser.cjs";
const sdk = "sdk/typescript/src";

/** One offender for each rule of the configuration: the importing file and what it imports. */
const offenders: Readonly<Record<string, readonly [file: string, specifier: string]>> = {
  [`room ${sdk}`]: [`${sdk}/client/a.ts`, "../../../../src/domain/fine.ts"],
  "room src/domain": ["src/domain/a.ts", "../store/fine.ts"],
  "room src/store": ["src/store/a.ts", "../ledger/reader.ts"],
  "room src/keys": ["src/keys/a.ts", "../ledger/reader.ts"],
  "room src/ledger": ["src/ledger/a.ts", "../keys/fine.ts"],
  "room src/policy": ["src/policy/a.ts", "../journeys/fine.ts"],
  "room src/fetch": ["src/fetch/a.ts", "../store/fine.ts"],
  "room src/svid": ["src/svid/a.ts", "../policy/fine.ts"],
  "room src/journeys": ["src/journeys/token/a.ts", "../../http/fine.ts"],
  "room src/node": ["src/node/a.ts", "../store/fine.ts"],
  "room src/issuer": ["src/issuer/a.ts", "../store/fine.ts"],
  "room src/http": ["src/http/a.ts", "../issuer/fine.ts"],
  "room src/workload-api": ["src/workload-api/a.ts", "../keys/fine.ts"],
  "room src/followers": ["src/followers/a.ts", "../ledger/fine.ts"],
  "room src/config.ts": ["src/config.ts", "./store/fine.ts"],
  "room src/commands": ["src/commands/a.ts", "../../test/fine.ts"],
  "room src/app": ["src/app/a.ts", "../../test/fine.ts"],
  "room src/app.ts": ["src/app.ts", "../test/fine.ts"],
  "room src/main.ts": ["src/main.ts", "../test/fine.ts"],
  "a known room": ["src/helpers/a.ts", "../domain/fine.ts"],
  "no cycle": ["src/domain/b.ts", "./b-too.ts"],
  resolvable: ["src/domain/c.ts", "./not-there.ts"],
  "pure code is free of Node": [`${sdk}/verify/a.ts`, "node:fs"],
  "pure code needs little": [`${sdk}/contract/a.ts`, "express"],
  "journeys know no face": ["src/journeys/token/b.ts", "express"],
  "oidc-provider in the issuer": ["src/http/b.ts", "oidc-provider"],
  "one seam": ["src/issuer/b.ts", "oidc-provider/lib/helpers/grants.js"],
  "no development dependency in the product": ["src/store/b.ts", "vitest"],
};

/** What the table allows, and must go on allowing: a rule that refuses all proves nothing. */
const allowed: readonly (readonly [file: string, specifier: string])[] = [
  ["src/issuer/provider-seam.ts", "oidc-provider/lib/helpers/grants.js"],
  ["src/issuer/provider.ts", "oidc-provider"],
  ["src/issuer/fine-too.ts", "./fine.ts"],
  ["src/journeys/token/fine.ts", "../../ledger/reader.ts"],
  ["src/journeys/token/fine-too.ts", "@countersign/sdk/model/fine"],
  ["src/ledger/fine-too.ts", "@countersign/sdk/tlog/fine"],
  ["src/followers/fine.ts", "../ledger/reader.ts"],
  ["src/http/fine-too.ts", "../journeys/fine.ts"],
  ["src/commands/fine.ts", "../app-parts.ts"],
  ["src/ledger/fine-io.ts", "node:fs"],
  [`${sdk}/verify/fine.ts`, "jose"],
];

/** Every import is one that the table of rooms allows. */
export async function check(): Promise<Outcome> {
  const { modules, violations } = await cruiseFrom(process.cwd(), ["src", sdk, "test", "bench"]);
  const problems = violations.map(({ rule, from, to }) => `${from} → ${to}: ${rule.name}`);
  if (modules === 0) problems.push("no module was cruised");
  return { seen: `${modules} modules`, problems: [...problems, ...(await proof())] };
}

interface Cruised {
  readonly modules: number;
  readonly violations: readonly IViolation[];
  readonly rules: readonly string[];
}

async function cruiseFrom(directory: string, roots: readonly string[]): Promise<Cruised> {
  const options = await extractOptions(`${process.cwd()}/${config}`);
  const { output } = await cruise([...roots], { ...options, baseDir: directory });
  if (typeof output === "string") throw new Error("dependency-cruiser gave a text where a result was due");
  const { summary, modules } = output;
  const rules = (options.ruleSet?.forbidden ?? []).map(({ name }) => name ?? "unnamed");
  const ours = modules.filter(({ source, coreModule }) => !coreModule && !source.includes("node_modules/"));
  return { modules: ours.length, violations: summary.violations, rules };
}

function proof(): Promise<string[]> {
  return withPlanted(plantedFiles(), async (directory) => {
    mkdirSync(`${directory}/node_modules/@countersign`);
    symlinkSync("../../sdk/typescript", `${directory}/node_modules/@countersign/sdk`);
    const { violations, rules } = await cruiseFrom(directory, ["src", sdk, "test"]);
    const problems: string[] = [];
    for (const rule of rules) {
      const [file] = offenders[rule] ?? [];
      const isIt = ({ rule: { name }, from, cycle }: IViolation) =>
        name === rule && (from === file || cycle?.some((hop) => hop.name === file) === true);
      if (!violations.some(isIt)) {
        problems.push(`the rule «${rule}» does not find its planted offender ${file ?? "(none is planted)"}`);
      }
    }
    for (const [file] of allowed) {
      const against = violations.find(({ from }) => from === file);
      if (against)
        problems.push(`the rule «${against.rule.name}» is broken by ${file}, which the table allows`);
    }
    return problems;
  });
}

function plantedFiles(): Record<string, string> {
  const files: Record<string, string> = {
    "package.json": JSON.stringify({
      name: "planted",
      dependencies: { express: "1" },
      devDependencies: { vitest: "1" },
    }),
    "src/domain/b-too.ts": 'export * from "./b.ts";\n',
    "src/app-parts.ts": "export const fine = 1;\n",
    "src/ledger/reader.ts": "export const fine = 1;\n",
  };
  const folders = ["domain", "store", "keys", "ledger", "policy", "issuer", "http", "journeys"].map(
    (room) => `src/${room}`,
  );
  for (const folder of [...folders, "test", `${sdk}/model`, `${sdk}/tlog`]) {
    files[`${folder}/fine.ts`] = "export const fine = 1;\n";
  }
  for (const [file, specifier] of [...Object.values(offenders), ...allowed]) {
    files[file] = `import * as it from "${specifier}";\nexport { it };\n`;
  }
  for (const name of ["express", "vitest", "jose", "oidc-provider"]) {
    files[`node_modules/${name}/package.json`] = JSON.stringify({ name, main: "lib/index.js" });
    files[`node_modules/${name}/lib/index.js`] = "export const fine = 1;\n";
  }
  files["node_modules/oidc-provider/lib/helpers/grants.js"] = "export const fine = 1;\n";
  files["sdk/typescript/package.json"] = JSON.stringify({
    name: "@countersign/sdk",
    exports: { "./*": { source: "./src/*.ts" } },
  });
  return files;
}
