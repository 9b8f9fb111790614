/**
 * The keys can't be used as they are, and only an operator can mend it: the server must not start. The message is for
 * the operator and never holds key material.
 */
export class KeysUnusableError extends Error {
  override readonly name = "KeysUnusableError";
}
