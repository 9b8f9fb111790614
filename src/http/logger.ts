import { type DestinationStream, destination, type Logger, pino } from "pino";

// Anything that has the shape of a JWT, a private JWK member or a password in a URL.
const secrets = [
  /eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*/g,
  /(?<="(?:d|client_secret|password)"\s*:\s*")[^"]*/g,
  /(?<=:\/\/[^/@\s]*:)[^/@\s]+(?=@)/g,
];
const causesMax = 5;

/** What the log holds of an error. */
interface LoggedError {
  readonly type: string;
  readonly code?: string;
  readonly message: string;
  readonly stack?: string;
  readonly cause?: LoggedError;
}

/**
 * A logger that writes JSON lines to standard error, so that standard output stays free for answers. Errors are
 * reduced to their type, code, message and stack, with tokens and keys blotted out: libraries hang requests and claims
 * on theirs.
 *
 * @param level a pino level, `info` unless told
 */
export function createLogger(
  level: string,
  to: DestinationStream = destination({ fd: 2, sync: true }),
): Logger {
  return pino({ level, base: null, serializers: { err: (error: unknown) => loggedError(error, 0) } }, to);
}

function loggedError(error: unknown, depth: number): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: blotted(String(error)) };
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    ...(typeof code === "string" && { code }),
    message: blotted(error.message),
    ...(error.stack !== undefined && { stack: blotted(error.stack) }),
    ...(error.cause !== undefined && depth < causesMax && { cause: loggedError(error.cause, depth + 1) }),
  };
}

function blotted(text: string): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, "[redacted]"), text);
}
