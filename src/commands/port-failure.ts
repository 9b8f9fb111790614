import { CommandError } from "./cli.ts";

/** A failure to start in words where it is that of a port; else as it was. `option` chooses another port. */
export function portFailure(error: unknown, port: number, option: string): unknown {
  if (!(error instanceof Error && "code" in error)) return error;
  const which = portIn(error) ?? port;
  if (error.code === "EADDRINUSE") {
    const advice = `stop what listens there, or choose another with ${option}`;
    return new CommandError("port_taken", `port ${which} is taken: ${advice}`, error);
  }
  if (error.code === "EACCES" && "port" in error) {
    const advice = `choose one above 1023 with ${option}`;
    return new CommandError("port_denied", `port ${which} needs privileges: ${advice}`, error);
  }
  return error;
}

/** The port that Node could not listen on: the installation's, when nobody gave another. */
function portIn(error: Error): number | undefined {
  return "port" in error && typeof error.port === "number" ? error.port : undefined;
}
