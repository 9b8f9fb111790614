import type { z } from "zod";

type Issue = z.core.$ZodIssue;

/**
 * What a schema expects, in words for whoever sent something else: given to a parse as its `error`, it speaks for every
 * schema that has no words of its own. Never holds what was sent.
 */
export const ourWords: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined
        ? "is missing"
        : `must be ${typeWords[issue.expected] ?? issue.expected}`;
    case "invalid_value":
      return `must be ${issue.values.length > 1 ? "one of " : ""}${issue.values.map(String).join(", ")}`;
    case "too_big":
      return sizeWords(
        issue.exact ? "exactly" : issue.inclusive ? "at most" : "less than",
        issue.maximum,
        issue,
      );
    case "too_small":
      return sizeWords(
        issue.exact ? "exactly" : issue.inclusive ? "at least" : "more than",
        issue.minimum,
        issue,
      );
    case "invalid_format":
      return formatWords(issue.format);
    case "unrecognized_keys":
      return "is not known here";
    case "invalid_key":
      return "is not a name that is known here";
    default:
      return "is not what is expected here";
  }
};

const typeWords: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

function sizeWords(bound: string, size: number | bigint, { origin }: { readonly origin: string }): string {
  const counted = { string: "character", array: "member" }[origin];
  if (counted === undefined) return `must be ${bound} ${size}`;
  return `must have ${bound} ${size} ${counted}${Number(size) === 1 ? "" : "s"}`;
}

function formatWords(format: string): string {
  switch (format) {
    case "datetime":
      return "must be a time with its offset, such as 2026-01-31T12:00:00Z";
    case "email":
      return "must be an e-mail address";
    default:
      return "is not spelled as it has to be";
  }
}

/** One thing that is wrong with what was sent. */
export interface Fault {
  /** The way to the member that is wrong; empty: it is the whole. */
  readonly path: readonly PropertyKey[];
  /** What is expected there. */
  readonly words: string;
}

/**
 * What is wrong with what was parsed, member by member. Of the forms that something may have it is held against the one
 * that it comes nearest to.
 */
export function faultsOf({ issues }: z.core.$ZodError): readonly Fault[] {
  return issues.flatMap((issue) => faultsIn(issue, []));
}

/** The same as text of one line, at most `faultsToldMax` of them: `scope.0: must be text; name: is missing`. */
export function faultText(error: z.core.$ZodError): string {
  const told = faultsOf(error)
    .slice(0, faultsToldMax)
    .map(({ path, words }) => {
      const where = path.map(nameOf).join(".").slice(0, 128);
      return where === "" ? words : `${where}: ${words}`;
    });
  return told.join("; ");
}

const faultsToldMax = 5;

/** A name that the sender chose could steer a terminal or forge a line of a log: only a plain one is told. */
function nameOf(part: PropertyKey): string {
  const name = String(part);
  return /^[\w-]{1,64}$/.test(name) ? name : "?";
}

function faultsIn(issue: Issue, above: readonly PropertyKey[]): readonly Fault[] {
  const path = [...above, ...issue.path];
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => ({ path: [...path, key], words: issue.message }));
    case "invalid_union": {
      const forms = issue.errors.map((form) => form.flatMap((one) => faultsIn(one, path)));
      const [nearest] = forms.sort((one, other) => one.length - other.length);
      return nearest ?? [{ path, words: issue.message }];
    }
    default:
      return [{ path, words: issue.message }];
  }
}
