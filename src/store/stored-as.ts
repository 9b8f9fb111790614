/**
 * A column's text as the domain type it was stored from. The one place where a brand or a status is taken on trust:
 * rows come from journeys, which parsed what they wrote, and the statuses are checked by the schema.
 */
export function storedAs<Domain extends string>(text: string): Domain {
  return text as Domain;
}

/** The same, of a column that may be null. */
export function storedAsMaybe<Domain extends string>(text: string | null): Domain | undefined {
  return text === null ? undefined : storedAs<Domain>(text);
}

/** Which part of a list is wanted: at most `limit` rows whose ids come after `after`, by ascending id. */
export interface Page {
  readonly after?: string | undefined;
  readonly limit: number;
}
