/** A JSON value as RFC 8259 knows it. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue | undefined };

/**
 * Serialises a value as canonical JSON, so that equal values have equal bytes and can be hashed.
 * Members whose value is `undefined` are left out, as JSON.stringify does.
 *
 * @throws TypeError for what has no canonical form: a lone surrogate, a number that is not finite, a function, an
 *   object that is not plain, an array with a hole.
 * @see RFC 8785, sections 3.2.1 to 3.2.3
 */
export function canonicalJson(value: JsonValue): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return canonicalString(value);
  if (typeof value === "number") return canonicalNumber(value);
  if (typeof value !== "object") throw new TypeError(`a ${typeof value} has no canonical JSON form`);
  // Array.from: a hole becomes undefined, and is refused like one.
  if (Array.isArray(value)) return `[${Array.from(value, canonicalJson).join(",")}]`;
  const object = value as { readonly [name: string]: JsonValue | undefined };
  const prototype = Object.getPrototypeOf(object);
  // A Date or a Map would turn into `{}`: two different values would share one hash.
  if (prototype !== Object.prototype && prototype !== null)
    throw new TypeError("only plain objects have canonical JSON");
  let members = "";
  for (const name of Object.keys(object).sort()) {
    const member = object[name];
    if (member === undefined) continue;
    members += `${members === "" ? "" : ","}${canonicalString(name)}:${canonicalJson(member)}`;
  }
  return `{${members}}`;
}

function canonicalString(text: string): string {
  // A lone surrogate would be replaced when encoded as UTF-8: two different values would share one hash.
  if (!text.isWellFormed()) throw new TypeError("a string with a lone surrogate has no canonical JSON form");
  return JSON.stringify(text);
}

function canonicalNumber(number: number): string {
  if (!Number.isFinite(number)) throw new TypeError(`${number} has no canonical JSON form`);
  return JSON.stringify(number);
}
