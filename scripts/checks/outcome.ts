/** What one check found. Each module beside this one exports `check(): Outcome | Promise<Outcome>`. */
export interface Outcome {
  /** What was looked at, with its count: a check that saw nothing must say so as a problem. */
  readonly seen: string;
  /** One line each, empty when all is well. */
  readonly problems: readonly string[];
}
