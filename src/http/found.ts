import { type IdKind, parseId } from "@countersign/sdk/model/ids";
import { DomainError } from "../domain/domain-error.ts";

/** What was looked for. @throws DomainError `not_found`, the same for what never was and what is not the caller's. */
export function found<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new DomainError("not_found", "nothing of this id is known here");
  return value;
}

/** The id in a route's `:id`. @throws DomainError `not_found` when it is no id of this kind. */
export function idParam<Kind extends IdKind>(kind: Kind, params: Readonly<Record<string, string>>) {
  return found(parseId(kind, params["id"] ?? ""));
}
