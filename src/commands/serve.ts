import { join } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import type { App } from "../app.ts";
import { type Config, readConfig } from "../config.ts";
import { isLoopback } from "../domain/loopback.ts";
import { type Cli, table } from "./cli.ts";
import { aManifestPath, defineCommand, measureOption, optional, someText } from "./define.ts";
import { kubeletGiven, kubeletOf, kubeletOptions } from "./kubelet-options.ts";
import { portFailure } from "./port-failure.ts";

/** `countersign serve`: runs until it is asked to end, and then drains. */
export function addServeCommand(program: Command, cli: Cli): void {
  defineCommand(program, cli, {
    usage: "serve",
    description: "run the server, with a PostgreSQL of its own unless DATABASE_URL names one",
    example: "--port 8460 --data-dir .countersign",
    options: [
      optional("--port <port>", "where to listen; goes before COUNTERSIGN_PORT"),
      optional("--data-dir <directory>", "where its state lives; goes before COUNTERSIGN_DATA_DIR"),
      optional(
        "--attest-own-uid",
        "give SVIDs to processes of the server's own account too, which can read its keys: for trying it out",
      ),
      optional(
        "--reserve-for <seconds>",
        "how long what an action may cost stays reserved where nobody reports the action; 900 without it",
      ),
      measureOption(),
      ...kubeletOptions,
    ],
    given: z.object({
      measure: aManifestPath.optional(),
      port: someText.optional(),
      dataDir: someText.optional(),
      reserveFor: z
        .string()
        .regex(/^[1-9][0-9]{0,5}$/, "must be a whole number of seconds from 1 to 999999")
        .transform((seconds) => Number(seconds) * 1000)
        .optional(),
      attestOwnUid: z.boolean().default(false),
      ...kubeletGiven,
    }),
    run: async ({ port, dataDir, attestOwnUid, measure, reserveFor, json, ...given }) => {
      const config = cli.readConfig({
        ...{ port, dataDir, attestOwnUid, measure },
        kubelet: kubeletOf(given),
        ...(reserveFor !== undefined && { reserveForMs: reserveFor }),
      });
      const asked = cli.untilAsked();
      const app = await cli.startApp(config).catch((error: unknown) => {
        throw portFailure(error, config.port, { option: "--port", variables: furtherPorts(config) });
      });
      cli.print(json ? JSON.stringify(eventOf(app, config)) : welcome(app, config));
      await asked;
      cli.note("stopping: finishing what is in flight");
      await app.close();
      return undefined;
    },
  });
}

function furtherPorts({ mtlsPort, bundlePort }: Config) {
  return { COUNTERSIGN_MTLS_PORT: mtlsPort, COUNTERSIGN_BUNDLE_PORT: bundlePort };
}

function eventOf(app: App, config: Config): object {
  const { issuer, notReady, workloadsNotServed } = app;
  return {
    ...(notReady === undefined
      ? { event: "ready", issuer }
      : { event: "not-ready", issuer, reason: notReady }),
    ...(config.mtlsPort !== undefined && { mtls_port: config.mtlsPort }),
    ...(config.bundlePort !== undefined && { bundle_port: config.bundlePort }),
    ...(workloadsNotServed === undefined && { socket: socketOf(config) }),
  };
}

const socketOf = ({ dataDir }: Config): string => join(dataDir, "workload.sock");

function welcome(app: App, config: Config): string {
  const { issuer, listensAt, notReady, workloadsNotServed } = app;
  const { dataDir, mtlsPort, bundlePort } = config;
  const optionally: [string, string | number | undefined][] = [
    ["listening", listensAt === issuer ? undefined : listensAt],
    ["mTLS port", mtlsPort],
    ["bundle port", bundlePort],
  ];
  const settings = settingsFor(app, dataDir);
  const state =
    notReady === undefined ? "is ready" : `is NOT READY: ${notReady}\nIt issues nothing and is reached`;
  return [
    `Countersign ${state} at ${issuer}`,
    table([
      ...optionally.flatMap(([name, value]): [string, string | number][] => (value ? [[name, value]] : [])),
      ["data", dataDir],
      ["discovery", `${issuer}/.well-known/openid-configuration`],
      ["health", `${issuer}/readyz`],
      [
        "workloads",
        workloadsNotServed === undefined
          ? `SPIFFE_ENDPOINT_SOCKET=unix://${socketOf(config)}`
          : `not served: ${workloadsNotServed}`,
      ],
    ]),
    "",
    "Next, in another terminal:",
    ...nextSteps(notReady === undefined).map((step) => `  ${settings}npx countersign ${step}`),
  ].join("\n");
}

/** What a command in another terminal has to be told to find this server, as far as its defaults would find another. */
function settingsFor(app: App, dataDir: string): string {
  const defaults = readConfig({}, {});
  const server = reachedAt(app);
  return [
    ...(server === defaults.server ? [] : [`COUNTERSIGN_SERVER=${server} `]),
    ...(dataDir === defaults.dataDir ? [] : [`COUNTERSIGN_DATA_DIR=${quoted(dataDir)} `]),
  ].join("");
}

/** Where commands on this machine reach the server: plain http they speak to loopback only. */
function reachedAt({ issuer, listensAt }: App): string {
  const { protocol, hostname, port } = new URL(listensAt);
  if (protocol !== "http:") return issuer;
  if (isLoopback(hostname)) return listensAt;
  return ["0.0.0.0", "[::]"].includes(hostname) ? new URL(`http://127.0.0.1:${port}`).origin : issuer;
}

/** As a shell reads it. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function nextSteps(isReady: boolean): readonly string[] {
  if (!isReady) return ["doctor", "ledger recover   (with the server stopped)"];
  return [
    "user create --name Alice",
    "agent create --owner usr_… --name orchestrator --out orchestrator.json",
    "doctor",
  ];
}
