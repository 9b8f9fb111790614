import { isPlainObject } from "@countersign/sdk/model/bounded-json";

/** One thing known of a request: a list holds several of a kind. */
export type AttributeValue = string | number | boolean | readonly string[];

/**
 * What is known of a request beside its identifiers, by dotted name: `subject.`, `resource.`, `action.` and `context.`
 * begin the names, as in AuthZEN's information model.
 *
 * @see AuthZEN Authorization API 1.0, section 5
 */
export type Attributes = Readonly<Record<string, AttributeValue>>;

const attributeName = /^(?:subject|resource|action|context)(?:\.[A-Za-z_][A-Za-z0-9_-]{0,63}){1,4}$/;

/** Whether a text is an attribute's name: one of the four beginnings, then one to four names behind dots. */
export function isAttributeName(text: string): boolean {
  return attributeName.test(text);
}

/** What an attribute can be about. */
export type AttributeBeginning = "subject" | "resource" | "action" | "context";

const flattenedMax = 64;

/**
 * What an asker says of one thing, by dotted name: objects are flattened, lists of text kept. What can't be an attribute is
 * left out, so that no condition on it is met. Undefined for more than 64 of them.
 */
export function flattenAttributes(beginning: AttributeBeginning, properties: object): Attributes | undefined {
  const found: Record<string, AttributeValue> = {};
  const walk = (name: string, value: unknown): void => {
    if (isPlainObject(value)) {
      for (const [member, inner] of Object.entries(value)) {
        // A name with a dot in it would be another one's, told apart by nobody.
        if (isAttributeName(`${name}.${member}`) && !member.includes(".")) walk(`${name}.${member}`, inner);
      }
    } else if (isAttributeValue(value)) found[name] = value;
  };
  walk(beginning, properties);
  return Object.keys(found).length <= flattenedMax ? found : undefined;
}

/** Whether a JSON value can be an attribute's. */
export function isAttributeValue(value: unknown): value is AttributeValue {
  if (typeof value === "string" || typeof value === "boolean") return true;
  if (typeof value === "number") return Number.isFinite(value);
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
