import { type BigIntStats, statSync } from "node:fs";
import { exactText, isUnreadable, linesOf, readBounded } from "./read-proc.ts";

const bytesMax = 4 * 1024 * 1024;

/**
 * Names by number, from /etc/passwd or /etc/group. A number with several names has none here, and neither has one whose
 * name stands for another number too: nobody could tell which was meant.
 *
 * @see passwd(5), group(5): in both the name is the first field and the number the third
 */
export function createAccountNames(path: string): (id: number) => string | undefined {
  let version = "";
  let names: ReadonlyMap<number, string> = new Map();
  return (id) => {
    const current = versionOf(path);
    if (current !== version) names = parseAccounts(readBounded(path, bytesMax) ?? "");
    version = current;
    return names.get(id);
  };
}

/** Tells one content of a file from another. */
export function fileVersion({ dev, ino, mtimeNs, ctimeNs, size }: BigIntStats): string {
  return [dev, ino, mtimeNs, ctimeNs, size].join(":");
}

function versionOf(path: string): string {
  try {
    return fileVersion(statSync(path, { bigint: true }));
  } catch (error) {
    if (isUnreadable(error)) return "none";
    throw error;
  }
}

/** Names by number. */
export function parseAccounts(text: string): ReadonlyMap<number, string> {
  const names = new Map<number, Set<string>>();
  const ids = new Map<string, Set<number>>();
  for (const line of linesOf(text)) {
    const [bytes = "", , number = ""] = line.split(":");
    const name = exactText(bytes);
    // `+` and `-` include and exclude others from elsewhere.
    if (name === undefined || !/^[^+\-#\s]\S*$/u.test(name) || !/^\d{1,10}$/.test(number)) continue;
    names.set(Number(number), (names.get(Number(number)) ?? new Set()).add(name));
    ids.set(name, (ids.get(name) ?? new Set()).add(Number(number)));
  }
  const exact = [...names].flatMap(([id, [name, ...others]]) => {
    const isExact = name !== undefined && others.length === 0 && ids.get(name)?.size === 1;
    return isExact ? [[id, name] as const] : [];
  });
  return new Map(exact);
}
