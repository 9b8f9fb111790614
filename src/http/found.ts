import { DomainError } from "../domain/domain-error.ts";

/** What was looked for. @throws DomainError `not_found`, the same for what never was and what is not the caller's. */
export function found<Value>(
  value: Value | undefined,
  otherwise = "nothing of this id is known here",
): Value {
  if (value === undefined) throw new DomainError("not_found", otherwise);
  return value;
}
