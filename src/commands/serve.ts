import type { Command } from "commander";
import { z } from "zod";
import { type Cli, CommandError, table } from "./cli.ts";
import { defineCommand, optional, someText } from "./define.ts";

/** `countersign serve`: runs until it is asked to end, and then drains. */
export function addServeCommand(program: Command, cli: Cli): void {
  defineCommand(program, cli, {
    usage: "serve",
    description: "run the server, with a PostgreSQL of its own unless DATABASE_URL names one",
    example: "--port 8460 --data-dir .countersign",
    options: [
      optional("--port <port>", "where to listen; goes before COUNTERSIGN_PORT"),
      optional("--data-dir <directory>", "where its state lives; goes before COUNTERSIGN_DATA_DIR"),
    ],
    given: z.object({ port: someText.optional(), dataDir: someText.optional() }),
    run: async ({ port, dataDir, json }) => {
      const config = cli.readConfig({ port, dataDir });
      const asked = cli.untilAsked();
      const app = await cli.startApp(config).catch((error: unknown) => {
        throw startFailure(error, config.port);
      });
      cli.print(
        json ? JSON.stringify({ event: "ready", issuer: app.issuer }) : welcome(app.issuer, config.dataDir),
      );
      await asked;
      cli.note("stopping: finishing what is in flight");
      await app.close();
      return undefined;
    },
  });
}

function welcome(issuer: string, dataDir: string): string {
  return [
    `Countersign is ready at ${issuer}`,
    table([
      ["data", dataDir],
      ["discovery", `${issuer}/.well-known/openid-configuration`],
      ["health", `${issuer}/readyz`],
    ]),
    "",
    "Next, in another terminal:",
    "  countersign user create --name Alice",
    "  countersign agent create --owner usr_… --name orchestrator --out orchestrator.json",
    "  countersign doctor",
  ].join("\n");
}

function startFailure(error: unknown, port: number): unknown {
  if (error instanceof Error && "code" in error) {
    if (error.code === "EADDRINUSE") {
      return new CommandError(
        "port_taken",
        `port ${port} is taken: stop what listens there, or choose another with --port`,
        error,
      );
    }
    if (error.code === "EACCES") {
      return new CommandError(
        "port_denied",
        `port ${port} needs privileges: choose one above 1023 with --port`,
        error,
      );
    }
  }
  return error;
}
