import { parseAudience } from "./audience.ts";

/**
 * A path cut at its slashes: absolute (root `/`), relative (root empty) or an http(s) URL (root its origin). In a glob,
 * a segment may be `*`, and the last one `**`.
 */
export interface Path {
  readonly root: string;
  readonly segments: readonly string[];
}

const charsMax = 1024;
const segmentsMax = 64;

/**
 * The path that `text` spells, or undefined. A path has one spelling: whatever a file system, shell or server might
 * read as another one is refused, never mended. Refused are empty segments (so `//` and a final slash), segments that
 * end in a dot or a blank (`.`, `..`, and what Windows strips), backslashes, percent signs, stars, control and invisible
 * characters, text that is not in Unicode form NFC, characters that decay into a dot, slash, backslash, percent or star,
 * schemes but http(s), drive letters and `~`. Letters compare octet by octet, also where a file system folds their case.
 */
export function parsePath(text: string): Path | undefined {
  if (text.includes("*")) return undefined;
  const path = cut(text);
  return path !== undefined && (!isOrigin(path.root) || parseAudience(text) !== undefined) ? path : undefined;
}

/**
 * The glob that `text` spells, or undefined. A segment is literal, by the rules of parsePath, or `*`: one segment,
 * whatever it is; the last may be `**`: one segment or more. Other signs that globs elsewhere know (`?`, brackets, braces,
 * a star inside a segment) are refused rather than taken for letters; the origin of a URL is always literal.
 */
export function parseGlob(text: string): Path | undefined {
  const glob = cut(text);
  if (glob === undefined || (isOrigin(glob.root) && parseAudience(glob.root) === undefined)) return undefined;
  const last = glob.segments.length - 1;
  const legal = glob.segments.every(
    (segment, place) => segment === "*" || (segment === "**" && place === last) || !/[*?[\]{}]/.test(segment),
  );
  return legal ? glob : undefined;
}

/** Whether a path, or all that a glob matches, is `prefix` itself or lies below it, segment by segment. */
export function liesUnder({ root, segments }: Path, prefix: Path): boolean {
  // No segment of a prefix is a star, so where a glob leaves a segment open it does not lie under one that is fixed.
  return root === prefix.root && prefix.segments.every((segment, place) => segment === segments[place]);
}

/** Whether a glob matches a path, or all that another glob matches. */
export function fitsGlob({ root, segments }: Path, glob: Path): boolean {
  const open = endsOpen(glob);
  const fixed = open ? glob.segments.slice(0, -1) : glob.segments;
  const rightLength = open ? segments.length > fixed.length : segments.length === fixed.length;
  return (
    root === glob.root &&
    rightLength &&
    fixed.every((wanted, place) => (wanted === "*" ? segments[place] !== "**" : wanted === segments[place]))
  );
}

/** Whether a glob matches whatever lies below what it matches. */
export function endsOpen(glob: Path): boolean {
  return glob.segments.at(-1) === "**";
}

function cut(text: string): Path | undefined {
  if (text === "" || text.length > charsMax || !isPlainText(text)) return undefined;
  const [, origin, below = ""] = /^(https?:\/\/[^/?#*]+)(?:\/(.*))?$/.exec(text) ?? [];
  const root = origin ?? (text.startsWith("/") ? "/" : "");
  const rest = origin === undefined ? text.slice(root.length) : below;
  const segments = rest === "" ? [] : rest.split("/");
  const [first = ""] = segments;
  // What looks relative may be a URI of another scheme, a drive or somebody's home.
  if (root === "" && /^~|:/.test(first)) return undefined;
  const legal =
    segments.length <= segmentsMax && segments.every((segment) => segment !== "" && !/[. ]$/.test(segment));
  return legal ? { root, segments } : undefined;
}

function isOrigin(root: string): boolean {
  return root.length > 1;
}

function isPlainText(text: string): boolean {
  if (/^[\x20-\x7e]*$/.test(text)) return !/[\\%]/.test(text);
  if (!text.isWellFormed() || text.normalize("NFC") !== text) return false;
  return !/[\\%\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text) && !Iterator.from(text).some(decays);
}

/** Whether a character is a compatibility form of what would change a path: `．` is a dot to some, `／` a slash. */
function decays(character: string): boolean {
  const plain = character.normalize("NFKC");
  return plain !== character && /[./\\%*]/.test(plain);
}
