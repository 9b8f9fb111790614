import { CommandError } from "./cli.ts";

/**
 * A failure to start in words where it is that of a port; else as it was.
 *
 * @param given what chooses another port: the option, for any but the ports that variables set
 */
export function portFailure(
  error: unknown,
  port: number,
  given: { readonly option: string; readonly variables?: Readonly<Record<string, number | undefined>> },
): unknown {
  if (!(error instanceof Error && "code" in error)) return error;
  const which = portIn(error) ?? port;
  const variable = Object.entries(given.variables ?? {}).find(([, other]) => other === which);
  const option = variable?.[0] ?? given.option;
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
