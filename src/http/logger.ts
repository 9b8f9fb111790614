import { type DestinationStream, destination, type Logger, pino } from "pino";

// Anything that has the shape of a JWT or of its beginning, a client's secret, a private JWK member or a password in a URL.
const secrets = [
  /eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}/g,
  /csec_[A-Za-z0-9_-]{16,}/g,
  /(?<="(?:d|client_secret|password)\\?"\s*:\s*\\?")[^"\\]*/g,
  /(?<=:\/\/[^/@\s"]*:)[^/@\s"]+(?=@)/g,
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
 * reduced to their type, code, message and stack: libraries hang requests and claims on theirs. Tokens and keys are
 * blotted out of every line, since a caller may have put one anywhere, the path included.
 *
 * @param level a pino level, `info` unless told
 */
export function createLogger(
  level: string,
  to: DestinationStream = destination({ fd: 2, sync: true }),
): Logger {
  const serializers = { err: (error: unknown) => loggedError(error, 0) };
  return pino({ level, base: null, serializers, hooks: { streamWrite: blotted } }, to);
}

function loggedError(error: unknown, depth: number): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) };
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    ...(typeof code === "string" && { code }),
    message: error.message,
    ...(error.stack !== undefined && { stack: error.stack }),
    ...(error.cause !== undefined && depth < causesMax && { cause: loggedError(error.cause, depth + 1) }),
  };
}

function blotted(line: string): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, "[redacted]"), line);
}
