import {
  callFault,
  covers,
  detailsBeyond,
  detailsFault,
  permits,
} from "@countersign/sdk/model/authorization-details";
import type { JsonValue } from "@countersign/sdk/model/canonical-json";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { argumentValues, detailLists, relatedLists, toolCalls } from "./details.ts";

const underData = {
  type: "tool_call",
  server: "files",
  tools: ["read_file"],
  arguments: { path: { prefix: "/data" } },
};
const call = (path: unknown, more: object = {}) => ({
  server: "files",
  tool: "read_file",
  arguments: { path, ...more },
});

describe("permits", () => {
  test("read_file under /data only", () => {
    expect(permits([underData], call("/data/2026/report.txt"))).toBe(true);
    expect(permits([underData], call("/data"))).toBe(true);
    for (const path of [
      "/etc/passwd",
      "/database",
      "/data/../etc/passwd",
      "/data/%2e%2e/etc/passwd",
      "data",
    ]) {
      expect([path, permits([underData], call(path))]).toEqual([path, false]);
    }
    expect(permits([underData], { ...call("/data/x"), tool: "write_file" })).toBe(false);
    expect(permits([underData], { ...call("/data/x"), server: "other" })).toBe(false);
  });

  test("an argument of another type is none: a list of paths is no path", () => {
    for (const path of [["/data/x"], { path: "/data/x" }, null, undefined, 1, true, Object("/data/x")])
      expect(permits([underData], call(path))).toBe(false);
  });

  test("where arguments are named, no other passes and none may be missing but an optional one", () => {
    expect(permits([underData], call("/data/x", { follow: true }))).toBe(false);
    const own = JSON.parse('{"path": "/data/x", "__proto__": {"path": "/data/x"}}');
    expect(permits([underData], { ...call(""), arguments: own })).toBe(false);
    expect(permits([underData], { server: "files", tool: "read_file" })).toBe(false);
    const inherited = Object.create({ path: "/data/x" });
    expect(permits([underData], { ...call(""), arguments: inherited })).toBe(false);
    const withHead = {
      ...underData,
      arguments: { ...underData.arguments, head: { range: { max: 10 }, optional: true } },
    };
    expect(permits([withHead], call("/data/x"))).toBe(true);
    expect(permits([withHead], call("/data/x", { head: 10 }))).toBe(true);
    expect(permits([withHead], call("/data/x", { head: 11 }))).toBe(false);
  });

  test("where arguments are not named, all pass; where none is named, none does", () => {
    const { arguments: _, ...free } = underData;
    expect(permits([free], call("/etc", { any: [1] }))).toBe(true);
    expect(permits([{ ...free, arguments: {} }], { server: "files", tool: "read_file" })).toBe(true);
    expect(permits([{ ...free, arguments: {} }], call("/data"))).toBe(false);
  });

  test("one object that lets it through is enough; an empty list leaves it to the scope", () => {
    const underTmp = { ...underData, arguments: { path: { prefix: "/tmp" } } };
    expect(permits([underData, underTmp], call("/tmp/x"))).toBe(true);
    expect(permits([underData, underTmp], call("/etc"))).toBe(false);
    expect(permits([], call("/etc"))).toBe(true);
  });

  test("[NAR-002] nothing passes a list with one object that can't be read", () => {
    expect(permits([underData, { type: "payment" }], call("/data/x"))).toBe(false);
    expect(callFault([underData, { type: "payment" }], call("/data/x"))).toContain(
      "authorization_details[1].type",
    );
  });
});

test("[NAR-002] what can't be read is told by its member, and never by its value", () => {
  const withPath = (rule: unknown) => [{ ...underData, arguments: { path: rule } }];
  const secret = "/secret/../x";
  const faults: [unknown, string][] = [
    ["text", ": no list"],
    [[5], "[0]: no object"],
    [[underData, { ...underData, type: secret }], "[1].type: none of the types"],
    [[{ ...underData, locations: [] }], "[0].locations: no member"],
    [[{ ...underData, [secret]: 1 }], "[0]: no member"],
    [[{ ...underData, server: secret }], "[0].server: neither"],
    [[{ ...underData, tools: [] }], "[0].tools: no list"],
    [[{ server: "files" }], "[0].type: is missing"],
    [[{ type: "tool_call" }], "[0].server: is missing"],
    [[{ type: "tool_call", server: "files" }], "[0].tools: is missing"],
    [[{ ...underData, arguments: [] }], "[0].arguments: no object"],
    [[{ ...underData, arguments: { [secret]: { exact: 1 } } }], "[0].arguments: a name"],
    [withPath(secret), "[0].arguments.path: no object"],
    [withPath({}), "[0].arguments.path: not exactly one"],
    [withPath({ prefix: "/", exact: 1 }), "[0].arguments.path: not exactly one"],
    [withPath({ prefix: "/data", optional: 1 }), "[0].arguments.path.optional: neither"],
    [withPath({ regex: secret }), "[0].arguments.path.regex: no constraint"],
    [withPath({ [secret]: 1 }), "[0].arguments.path: no constraint"],
    [withPath({ prefix: secret }), "[0].arguments.path.prefix: not a path"],
    [withPath({ range: { min: 2, max: 1 } }), "[0].arguments.path.range: not an object"],
    [withPath({ exact: "\0" }), ": no JSON of at most"],
  ];
  for (const [details, said] of faults) {
    const fault = detailsFault(details);
    expect([details, fault?.startsWith(`authorization_details${said}`)]).toEqual([details, true]);
    expect(fault).not.toContain(secret);
  }
  expect([detailsFault([]), detailsFault([underData])]).toEqual([undefined, undefined]);
});

describe("covers", () => {
  test("[NAR-001] whatever a covered list permits, the covering one permits", () => {
    const seen = { covered: 0, permitted: 0 };
    const pairs = fc.oneof(fc.tuple(detailLists, detailLists), relatedLists);
    fc.assert(
      fc.property(pairs, fc.array(toolCalls, { minLength: 20, maxLength: 40 }), ([parent, child], calls) => {
        if (!covers(parent, child)) return;
        seen.covered++;
        for (const one of calls) {
          if (!permits(child, one)) continue;
          seen.permitted++;
          expect(permits(parent, one)).toBe(true);
        }
      }),
      { numRuns: 3000 },
    );
    expect(seen.covered).toBeGreaterThan(500);
    expect(seen.permitted).toBeGreaterThan(500);
  });

  test("[NAR-001] it goes on over any number of hops", () => {
    const seen = { chains: 0 };
    fc.assert(
      fc.property(relatedLists, relatedLists, ([a, b], [, c]) => {
        const [first, ...rest] = b;
        for (const last of [c, rest.length > 0 ? rest : [first as JsonValue]]) {
          if (!covers(a, b) || !covers(b, last)) continue;
          seen.chains++;
          expect(covers(a, last)).toBe(true);
        }
      }),
      { numRuns: 3000 },
    );
    expect(seen.chains).toBeGreaterThan(50);
  });

  test("each list covers itself", () => {
    fc.assert(fc.property(detailLists, (list) => covers(list, list)));
  });

  test("a child that says nothing is wider than a parent that does, and the other way round narrower", () => {
    expect(covers([], [underData])).toBe(true);
    expect(covers([underData], [])).toBe(false);
    expect(covers([], [])).toBe(true);
  });

  const narrower = { ...underData, arguments: { path: { glob: "/data/*/x" } } };
  const { arguments: _, ...free } = underData;
  const optional = { ...underData, arguments: { path: { prefix: "/data", optional: true } } };
  test.each<[string, JsonValue[], JsonValue[], boolean]>([
    ["a narrower argument", [underData], [narrower], true],
    ["a wider argument", [narrower], [underData], false],
    ["arguments below free ones", [free], [underData], true],
    ["free arguments below some", [underData], [free], false],
    ["no arguments below some", [underData], [{ ...free, arguments: {} }], false],
    ["no arguments below optional ones", [optional], [{ ...free, arguments: {} }], true],
    [
      "an argument more",
      [underData],
      [{ ...underData, arguments: { ...underData.arguments, n: { exact: 1 } } }],
      false,
    ],
    ["a required argument below an optional one", [optional], [underData], true],
    ["an optional argument below a required one", [underData], [optional], false],
    ["a tool more", [underData], [{ ...underData, tools: ["read_file", "write_file"] }], false],
    ["a tool in another case", [underData], [{ ...underData, tools: ["Read_File"] }], false],
    ["another server", [underData], [{ ...underData, server: "files2" }], false],
    [
      "an origin's slash",
      [{ ...free, server: "https://a.example" }],
      [{ ...free, server: "https://a.example/" }],
      true,
    ],
    [
      "another of the parent's objects",
      [underData, { ...free, server: "b" }],
      [{ ...underData, server: "b" }],
      true,
    ],
    ["one object beyond the parent's", [underData], [underData, { ...free, server: "b" }], false],
    [
      "an object that only two of the parent's cover",
      [underData, { ...underData, tools: ["b"] }],
      [{ ...underData, tools: ["read_file", "b"] }],
      false,
    ],
  ])("%s: %#", (_, parent, child, expected) => expect(covers(parent, child)).toBe(expected));

  const deep = (levels: number): JsonValue => (levels === 0 ? 1 : [deep(levels - 1)]);
  const hostile: [string, unknown][] = [
    ["no list", { ...underData }],
    ["an object that is null", [null]],
    ["a list in the list", [[underData]]],
    ["no type", [{ server: "files", tools: ["a"] }]],
    ["an unknown type", [{ ...underData, type: "payment_initiation" }]],
    ["a type in another case", [{ ...underData, type: "Tool_Call" }]],
    ["a type that is a list", [{ ...underData, type: ["tool_call"] }]],
    ["an unknown member", [{ ...underData, comment: "" }]],
    ["locations", [{ ...underData, locations: ["https://a.example"] }]],
    ["actions", [{ ...underData, actions: ["read"] }]],
    ["no server", [{ type: "tool_call", tools: ["a"] }]],
    ["a server with a second spelling", [{ ...underData, server: "https://A.example" }]],
    ["a server that is a pattern", [{ ...underData, server: "*" }]],
    ["no tools", [{ ...underData, tools: [] }]],
    ["tools that are a text", [{ ...underData, tools: "read_file" }]],
    ["a tool that is a pattern", [{ ...underData, tools: ["read_*"] }]],
    ["a tool named twice", [{ ...underData, tools: ["a", "a"] }]],
    ["a tool with a blank", [{ ...underData, tools: ["read_file "] }]],
    ["a tool in look-alike letters", [{ ...underData, tools: ["re\u0430d_file"] }]],
    ["too many tools", [{ ...underData, tools: Array.from({ length: 65 }, (_, i) => `t${i}`) }]],
    ["arguments that are a list", [{ ...underData, arguments: [] }]],
    ["arguments that are null", [{ ...underData, arguments: null }]],
    [
      "too many arguments",
      [
        {
          ...underData,
          arguments: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`a${i}`, { exact: 1 }])),
        },
      ],
    ],
    ["an argument without a constraint", [{ ...underData, arguments: { path: {} } }]],
    ["an argument that is only optional", [{ ...underData, arguments: { path: { optional: true } } }]],
    ["a constraint that is a text", [{ ...underData, arguments: { path: "/data" } }]],
    ["an unknown constraint", [{ ...underData, arguments: { path: { regex: ".*" } } }]],
    ["two constraints", [{ ...underData, arguments: { path: { prefix: "/data", length: { max: 9 } } } }]],
    [
      "optional that is no truth value",
      [{ ...underData, arguments: { path: { prefix: "/data", optional: 1 } } }],
    ],
    [
      "an argument called __proto__",
      [{ ...underData, arguments: JSON.parse('{"__proto__": {"exact": 1}}') }],
    ],
    ["an argument with a pattern for a name", [{ ...underData, arguments: { "*": { exact: 1 } } }]],
    [
      "too many objects",
      Array.from({ length: 65 }, () => ({ type: "tool_call", server: "s", tools: ["t"] })),
    ],
    ["too much text", [{ ...underData, arguments: { path: { exact: "x".repeat(8200) } } }]],
    ["too much text beyond ASCII", [{ ...underData, arguments: { path: { exact: "\u20ac".repeat(3000) } } }]],
    ["too deep a value", [{ ...underData, arguments: { path: { exact: deep(8) } } }]],
    ["a NUL", [{ ...underData, arguments: { path: { exact: "\0" } } }]],
    ["a lone surrogate", [{ ...underData, arguments: { path: { exact: "\ud800" } } }]],
    ["NaN", [{ ...underData, arguments: { path: { exact: Number.NaN } } }]],
    ["a number that no reader holds exactly", [{ ...underData, arguments: { path: { exact: 2 ** 53 } } }]],
    ["a date", [{ ...underData, arguments: { path: { exact: new Date(0) } } }]],
    ["a member that is undefined", [{ ...underData, arguments: undefined }]],
    ["a hole", Array(1)],
    ["a huge array", [{ ...underData, arguments: { path: { exact: Array(2 ** 31) } } }]],
  ];
  test.each(hostile)("[NAR-002] refuses %s on either side, and permits nothing", (_, list) => {
    const details = list as JsonValue[];
    expect(covers([], details)).toBe(false);
    expect(covers(details, [underData])).toBe(false);
    expect(covers(details, details)).toBe(false);
    expect(permits(details, call("/data/x"))).toBe(false);
  });

  test("[NAR-002] a ring is refused", () => {
    const ring: { [name: string]: JsonValue } = { ...underData };
    ring["arguments"] = { path: { exact: ring } };
    expect(covers([], [ring])).toBe(false);
  });

  test("[NAR-002] whatever JSON is sent, it is answered and no reason repeats it at length", () => {
    const texts = fc.oneof(
      fc.json(),
      fc.json().map((text) => `[{"type":"tool_call","server":"s","tools":["t"],"arguments":${text}}]`),
    );
    fc.assert(
      fc.property(texts, fc.constantFrom(...argumentValues), (text, value) => {
        const list = JSON.parse(text);
        const reasons = [
          detailsBeyond([underData], list),
          detailsBeyond(list, list),
          callFault(list, call(value)),
        ];
        for (const reason of reasons) expect((reason ?? "").length).toBeLessThan(400);
      }),
      { numRuns: 2000 },
    );
  });
});
