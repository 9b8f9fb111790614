import { errors } from "oidc-provider";
import { DomainError } from "../domain/domain-error.ts";
import { errorTable } from "../domain/error-table.ts";

// RFC 6749, section 5.2, answers 400 unless it says otherwise; these say more than 400 does.
const ownStatuses: ReadonlySet<number> = new Set([401, 413, 503]);

/** What a dependency answers, or its error as `toOAuthError` tells it. */
export async function orOAuthError<Answer>(
  deps: { readonly isUnavailable: (error: unknown) => boolean },
  answer: Promise<Answer>,
): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    throw toOAuthError(deps.isUnavailable, error);
  }
}

/**
 * The error as the library tells it to an OAuth client: a refusal of a journey by the table of errors, an absent
 * database as `temporarily_unavailable`. All else is returned as it came, and the library answers `server_error`.
 *
 * @param isUnavailable whether an error means that the database or the ledger is not there now
 * @see RFC 6749, section 5.2; RFC 8693, section 2.2.2; RFC 8707, section 2
 */
function toOAuthError(isUnavailable: (error: unknown) => boolean, error: unknown): unknown {
  if (error instanceof DomainError && error.code !== "internal") {
    const { status, oauthError } = errorTable[error.code];
    return oauthErrorOf(ownStatuses.has(status) ? status : 400, oauthError, error.publicDetail, error);
  }
  if (isUnavailable(error)) {
    return oauthErrorOf(503, "temporarily_unavailable", "not available now, try again", error);
  }
  return error;
}

/** An error that the library shows to the client as it is, whatever its status. */
export function oauthErrorOf(
  status: number,
  error: string,
  description: string,
  cause?: unknown,
): errors.OIDCProviderError {
  const shown = new errors.OIDCProviderError(status, error, { cause });
  // Without `expose` the library turns every status from 500 on into server_error.
  shown.expose = true;
  shown.error_description = printable(description);
  return shown;
}

/** RFC 6749, section 5.2: printable ASCII but for the double quote and the backslash. */
function printable(text: string): string {
  return text.replaceAll('"', "'").replaceAll(/[^\x20-\x7e]|\\/g, "?");
}
