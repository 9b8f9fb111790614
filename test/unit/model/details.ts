import type { JsonValue } from "@countersign/sdk/model/canonical-json";
import type { ToolCall } from "@countersign/sdk/model/tool-call";
import fc from "fast-check";

/** Values that arguments have, the hostile ones among them; JSON that any reader can be given. */
export const argumentValues: readonly JsonValue[] = [
  ...["/", "/data", "/data/x", "/data/x/y", "/data/y", "/database", "/data.old/x", "data/x", "/data/../etc"],
  ...["/data/./x", "/data//x", "/data/%2e%2e/etc", "/data\\..", "/data/e\u0301", "/data/\u00e9", "/data/x."],
  ...["https://docs.example/v1/x", "https://docs.example", "10.0.0.1", "10.1.2.3", "11.0.0.1", "010.0.0.1"],
  ...["::1", "::ffff:10.0.0.1", "2001:db8::1", "", "a", "abc", "abcdef", "\u{1f600}\u{1f600}", "\ud800"],
  ...[-1, -0, 0, 0.5, 1, 2, 5, 9007199254740991, 9007199254740992, true, false, null],
  ...[[], ["/data/x"], {}, { a: 1 }, { a: 1, b: [true] }],
];

const values = fc.constantFrom(
  ...argumentValues.filter((value) => value !== 9007199254740992 && value !== "\ud800"),
);
const member = <Name extends string, Value>(name: Name, value: fc.Arbitrary<Value>) =>
  value.map((given): JsonValue => ({ [name]: given as JsonValue }));
const ends = fc.constantFrom(-1, 0, 0.5, 1, 2, 5);

export const constraints: fc.Arbitrary<JsonValue> = fc.oneof(
  member("exact", values),
  member("one_of", fc.array(values, { minLength: 1, maxLength: 3 })),
  member(
    "range",
    fc.tuple(ends, ends).map(([a, b]) => ({ min: Math.min(a, b), max: Math.max(a, b) })),
  ),
  member("range", fc.oneof(member("min", ends), member("max", ends))),
  member("prefix", fc.constantFrom("/", "/data", "/data/x", "/database", "data", "https://docs.example")),
  member("glob", fc.constantFrom("/**", "/*", "/data/*", "/data/**", "/*/x", "/data/*/**", "**", "/data/x")),
  member(
    "cidr",
    fc.constantFrom("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.0.0.1/32", "::/0", "2001:db8::/32"),
  ),
  member(
    "length",
    fc.constantFrom(0, 2, 3, 10).map((max) => ({ max })),
  ),
);

const rules = fc
  .tuple(constraints, fc.option(fc.boolean(), { nil: undefined }))
  .map(
    ([constraint, optional]): JsonValue =>
      optional === undefined ? constraint : { ...(constraint as object), optional },
  );
const subset = (...names: string[]) => fc.subarray(names, { minLength: 1 });
const servers = fc.constantFrom("files", "https://mcp.example");

const toolCallDetails: fc.Arbitrary<JsonValue> = fc
  .record({
    server: servers,
    tools: subset("read_file", "write_file"),
    arguments: fc.option(fc.dictionary(fc.constantFrom("path", "n"), rules, { maxKeys: 2 }), {
      nil: undefined,
    }),
  })
  .map(({ server, tools, arguments: named }) => ({
    type: "tool_call",
    server,
    tools,
    ...(named !== undefined && { arguments: { ...named } }),
  }));

export const detailLists = fc.array(toolCallDetails, { maxLength: 3 });

/** A list and one that was made from it by leaving something out or changing one constraint: often narrower. */
export const relatedLists: fc.Arbitrary<readonly [JsonValue[], JsonValue[]]> = fc
  .tuple(fc.array(toolCallDetails, { minLength: 1, maxLength: 3 }), constraints, fc.nat(3))
  .map(([parent, constraint, change]) => [
    parent,
    parent.map((detail) => changed(detail, constraint, change)),
  ]);

function changed(detail: JsonValue, constraint: JsonValue, change: number): JsonValue {
  const { tools, arguments: named, ...rest } = detail as { [name: string]: JsonValue };
  const kept = change === 0 ? (tools as string[]).slice(0, 1) : tools;
  const argumentsNow = change === 1 ? { ...(named as object), path: constraint } : named;
  return {
    ...rest,
    ...(kept !== undefined && { tools: kept }),
    ...(argumentsNow !== undefined && { arguments: argumentsNow }),
  };
}

export const toolCalls: fc.Arbitrary<ToolCall> = fc
  .record({
    server: fc.oneof({ weight: 5, arbitrary: servers }, fc.constantFrom("https://mcp.example/", "Files", "")),
    tool: fc.constantFrom("read_file", "write_file", "READ_FILE", "delete_file"),
    arguments: fc.option(
      fc.dictionary(fc.constantFrom("path", "n", "other", "__proto__"), fc.constantFrom(...argumentValues), {
        maxKeys: 2,
      }),
      { nil: undefined },
    ),
  })
  .map(({ server, tool, arguments: given }) => ({ server, tool, ...(given && { arguments: { ...given } }) }));
