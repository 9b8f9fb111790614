import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { projectFiles } from "./files.ts";
import type { Outcome } from "./outcome.ts";

const fileBytesMax = 2 * 1024 * 1024;
/** Texts of others, kept word for word. */
const verbatim =
  /^(?:LICENSE|THIRD-PARTY-NOTICES\.md|package-lock\.json|scripts\/notices\/.*|spiffe\/.*\.proto)$/;

/** What no file may say: it would mean something on one machine, or in one conversation, only. */
const nowhere: readonly (readonly [what: string, pattern: RegExp])[] = [
  ["a path of one machine", /(?<![\w.$})])\/(?:root|work|Users)\/[\w.-]+/g],
  ["a host that packages come from", /\b(?:registry|mirrors?|proxy)\.(?!example\.)[a-z0-9-]+\.[a-z]{2,}\b/g],
  ["a numbered issue", /\bissues? #?\d+\b/gi],
];

/** Every document a file points to is there, and nothing speaks of what only one machine or conversation has. */
export function check(): Outcome {
  const paths = projectFiles().filter((path) => !verbatim.test(path));
  const problems: string[] = [];
  let references = 0;
  for (const path of paths) {
    const bytes = readFileSync(path);
    if (bytes.length > fileBytesMax || bytes.includes(0)) continue;
    const text = bytes.toString();
    const targets = referencesOf(path, text);
    references += targets.length;
    problems.push(
      ...targets.filter((target) => !existsSync(target)).map((target) => `${path}: ${target} is not there`),
    );
    problems.push(...strayWords(text).map((stray) => `${path}: ${stray}`));
  }
  if (references === 0) problems.push("no reference was found");
  return { seen: `${paths.length} files, ${references} references`, problems: [...problems, ...proof()] };
}

/** The files that a text points to: links of Markdown, and documents named as `docs/…` or in capitals. */
function referencesOf(path: string, text: string): string[] {
  const links = path.endsWith(".md") ? [...text.matchAll(/\]\((?![a-z]+:|#)([^)#\s]+)(?:#[^)]*)?\)/g)] : [];
  const relative = links.map(([, target = ""]) => normalize(join(dirname(path), target)));
  const named = [...text.matchAll(/(?<![\w./-])(?:docs\/[\w/.-]+|[A-Z][A-Z-]{3,})\.md\b/g)].map(
    ([target]) => target,
  );
  return [...new Set([...relative, ...named])];
}

function strayWords(text: string): string[] {
  return nowhere.flatMap(([what, pattern]) =>
    [...text.matchAll(pattern)].map(([word]) => `${what}: ${word}`),
  );
}

function proof(): string[] {
  const planted = `see ${"NOT-THERE"}.md, ${"/wor"}k/main, https://${"registry"}.packages.org and ${"issue"} 7`;
  const found = [...referencesOf("a.ts", planted), ...strayWords(planted)];
  return found.length === nowhere.length + 1
    ? []
    : [`what was planted is not found: only ${found.join(", ")}`];
}
