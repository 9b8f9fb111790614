/** Ends a switch over a union: a case that is left out does not compile. @throws TypeError for a value not of its type */
export function assertNever(value: never): never {
  throw new TypeError(`nothing is to be done with ${JSON.stringify(value)}`);
}
