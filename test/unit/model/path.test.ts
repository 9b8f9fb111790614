import { fitsGlob, liesUnder, type Path, parseGlob, parsePath } from "@countersign/sdk/model/path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

function path(text: string): Path {
  const parsed = parsePath(text);
  if (parsed === undefined) throw new Error(`not a path: ${text}`);
  return parsed;
}

function glob(text: string): Path {
  const parsed = parseGlob(text);
  if (parsed === undefined) throw new Error(`not a glob: ${text}`);
  return parsed;
}

describe("paths", () => {
  test.each([
    ["/", "/", []],
    ["/data", "/", ["data"]],
    ["/data/a b/é.txt", "/", ["data", "a b", "é.txt"]],
    ["/.git/config", "/", [".git", "config"]],
    ["data/x", "", ["data", "x"]],
    ["https://docs.example", "https://docs.example", []],
    ["https://docs.example/", "https://docs.example", []],
    ["https://docs.example:8443/v1/a?b=c", "https://docs.example:8443", ["v1", "a?b=c"]],
  ])("reads %j", (text, root, segments) => expect(parsePath(text)).toEqual({ root, segments }));

  test.each([
    ["nothing", ""],
    ["a final slash", "/data/"],
    ["an empty segment", "/data//x"],
    ["two leading slashes", "//data"],
    ["a dot segment", "/data/./x"],
    ["a parent segment", "/data/../etc"],
    ["a parent at the end", "/data/.."],
    ["a relative parent", "../etc"],
    ["three dots", "/data/.../x"],
    ["a parent that Windows strips a blank from", "/data/.. /x"],
    ["a final dot", "/data/secret."],
    ["a final blank", "/data/secret "],
    ["an encoded dot", "/data/%2e%2e/x"],
    ["an encoded dot in upper case", "/data/%2E%2E/x"],
    ["an encoded slash", "/data%2fx"],
    ["a doubly encoded dot", "/data/%252e%252e/x"],
    ["any percent sign", "/data/100%"],
    ["a backslash", "/data\\..\\etc"],
    ["a NUL", "/data/x\0.txt"],
    ["a line end", "/data/x\n"],
    ["an escape", "/data/\u001b[0m"],
    ["a C1 control", "/data/\u0085x"],
    ["a line separator", "/data/\u2028x"],
    ["a zero-width character that HFS+ ignores", "/data/.\u200c./x"],
    ["a right-to-left override", "/data/\u202etxt.exe"],
    ["a byte order mark", "\ufeff/data"],
    ["a soft hyphen", "/da\u00adta"],
    ["a decomposed letter", "/data/e\u0301"],
    ["a lone surrogate", "/data/\ud800"],
    ["a full-width dot", "/data/\uff0e\uff0e/x"],
    ["a two dot leader", "/data/\u2025/x"],
    ["an ellipsis", "/data/\u2026"],
    ["a full-width slash", "/data\uff0fx"],
    ["a full-width backslash", "/data\uff3cx"],
    ["a full-width percent", "/data/\uff052e"],
    ["a sign that decays into a slash", "/data/\u2100"],
    ["a star", "/data/*"],
    ["a full-width star", "/data/\uff0a"],
    ["a home", "~/.ssh/id_rsa"],
    ["another's home", "~root/.ssh"],
    ["a drive", "C:/data"],
    ["a file URI", "file:///data"],
    ["a file URI that looks relative", "file:/data"],
    ["another scheme", "ftp://docs.example/a"],
    ["an upper-case scheme", "HTTPS://docs.example/a"],
    ["an upper-case host", "https://Docs.example/a"],
    ["a default port", "https://docs.example:443/a"],
    ["userinfo", "https://docs.example@evil.example/a"],
    ["a fragment", "https://docs.example/a#b"],
    ["a short IPv4 host", "https://127.1/a"],
    ["a query on the host", "https://docs.example?a"],
    ["a parent behind a query", "https://docs.example/a?b/../c"],
    ["too many segments", `/${"a/".repeat(64)}a`],
    ["too long a text", `/${"a".repeat(1024)}`],
  ])("[NAR-003] refuses %s", (_, text) => expect(parsePath(text)).toBeUndefined());

  test("[NAR-003] no two texts are the same path, but for an origin's slash", () => {
    const texts = fc.stringMatching(/^[/.a~: é*%\\]{0,8}$/);
    fc.assert(
      fc.property(texts, (text) => {
        const parsed = parsePath(text);
        if (parsed !== undefined) expect(parsed.root + parsed.segments.join("/")).toBe(text);
      }),
      { numRuns: 3000 },
    );
  });

  test.each([
    ["/data", "/data", true],
    ["/data/x/y", "/data", true],
    ["/database", "/data", false],
    ["/data.old/x", "/data", false],
    ["/Data/x", "/data", false],
    ["/dat", "/data", false],
    ["data/x", "/data", false],
    ["/data/x", "data", false],
    ["/anything", "/", true],
    ["relative", "/", false],
    ["https://docs.example/a", "/", false],
    ["https://docs.example/v1/x", "https://docs.example/v1", true],
    ["https://docs.example/v1x", "https://docs.example/v1", false],
    ["https://docs.example.evil.example/v1", "https://docs.example", false],
    ["https://docs.example:8443/v1", "https://docs.example", false],
    ["http://docs.example/v1", "https://docs.example", false],
    ["https://docs.example/", "https://docs.example", true],
  ])("%j under %j: %s", (below, prefix, expected) =>
    expect(liesUnder(path(below), path(prefix))).toBe(expected),
  );
});

describe("globs", () => {
  test.each(["/*", "/**", "**", "*/x", "/a/*/b/**", "/a", "https://docs.example/*/x"])("reads %j", (text) =>
    expect(parseGlob(text)).toBeDefined(),
  );

  test.each([
    "",
    "/a/**/b",
    "/a/***",
    "/a/*.txt",
    "/a/x*",
    "/a/?",
    "/a/[bc]",
    "/a/{b,c}",
    "/a/../*",
    "/a//*",
    "/a/*/",
    "/%2a",
    "/a\\*",
    "/a/\uff0a",
    "https://*/x",
    "https://*.example/x",
    "https://Docs.example/*",
    "~/*",
    "c:/*",
  ])("[NAR-003] refuses %j", (text) => expect(parseGlob(text)).toBeUndefined());

  test.each([
    ["/data/x", "/data/*", true],
    ["/data", "/data/*", false],
    ["/data/x/y", "/data/*", false],
    ["/data", "/data/**", false],
    ["/data/x", "/data/**", true],
    ["/data/x/y/z", "/data/**", true],
    ["/database/x", "/data/**", false],
    ["/data/a/log/x", "/data/*/log/**", true],
    ["/data/a/b/log/x", "/data/*/log/**", false],
    ["/x", "**", false],
    ["x/y", "**", true],
    ["https://docs.example/x", "**", false],
    ["https://docs.example/a/x", "https://docs.example/*/x", true],
  ])("%j fits %j: %s", (text, pattern, expected) =>
    expect(fitsGlob(path(text), glob(pattern))).toBe(expected),
  );

  test("[NAR-003] matches exactly what a regular expression written from the rules matches", () => {
    const segment = fc.constantFrom("a", "b", "ab", ".a");
    const paths = fc
      .array(segment, { minLength: 1, maxLength: 5 })
      .chain((segments) => fc.constantFrom(`/${segments.join("/")}`, segments.join("/")));
    const globs = fc
      .tuple(
        fc.constantFrom("/", ""),
        fc.array(fc.oneof(segment, fc.constant("*")), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
      )
      .map(([root, segments, open]) => root + [...segments, ...(open ? ["**"] : [])].join("/"));
    fc.assert(
      fc.property(paths, globs, (text, pattern) => {
        const source = pattern
          .replaceAll(".", "\\.")
          .replaceAll("**", "##")
          .replaceAll("*", "[^/]+")
          .replaceAll("##", "[^/]+(/[^/]+)*");
        expect(fitsGlob(path(text), glob(pattern))).toBe(new RegExp(`^${source}$`).test(text));
      }),
      { numRuns: 3000 },
    );
  });
});
