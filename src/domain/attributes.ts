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
