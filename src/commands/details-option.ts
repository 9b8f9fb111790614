import { type AuthorizationDetails, detailsFault } from "@countersign/sdk/model/authorization-details";
import type { Option } from "commander";
import { UsageError } from "./cli.ts";
import { optional } from "./define.ts";
import { readJson } from "./read-json.ts";

/** `--details`, for `readDetails` to read. */
export function detailsOption(description: string): Option {
  return optional(
    "--details <json|file>",
    `${description}: RFC 9396 authorization_details, or a file of them`,
  );
}

/**
 * The authorization_details that an option holds: JSON where it begins like a list or an object, else the path of a file
 * with such JSON. One object is a list of one.
 *
 * @throws UsageError naming the member that is wrong
 */
export async function readDetails(value: string): Promise<AuthorizationDetails> {
  const json = /^\s*[[{]/.test(value) ? parsed(value) : await readJson(value);
  const details = Array.isArray(json) ? json : [json];
  const fault = detailsFault(details);
  if (fault !== undefined) throw new UsageError(`--details: ${fault}`);
  return details;
}

/** The lines of a table that show them, one each. */
export function detailRows(details: readonly unknown[] = []): [string, string][] {
  return details.map((detail) => ["details", JSON.stringify(detail)]);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError("--details can't be read as JSON", { cause: error });
  }
}
