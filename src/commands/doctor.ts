import { UnreachableError } from "@countersign/sdk/client/client-error";
import { send } from "@countersign/sdk/client/send";
import { getServerStatus } from "@countersign/sdk/contract/server-status";
import type { Command } from "commander";
import { z } from "zod";
import type { Config } from "../config.ts";
import { operatorKeyPath } from "../journeys/installation/operator-key-file.ts";
import { type Cli, table } from "./cli.ts";
import { operatorClient, unreachableText } from "./connection.ts";
import { defineCommand } from "./define.ts";
import { isOpenToOthers, readKeyFile } from "./key-file.ts";

interface Finding {
  readonly name: string;
  readonly state: "ok" | "warning" | "failed";
  readonly detail: string;
}
const clockSkewSecondsMax = 5;

/** `countersign doctor`: every dependency, each with its state and what to do about it. */
export function addDoctorCommand(program: Command, cli: Cli): void {
  defineCommand(program, cli, {
    usage: "doctor",
    description: "look at everything that Countersign depends on",
    example: "",
    given: z.object({}),
    run: async () => {
      const config = cli.readConfig();
      const findings = [
        await lookAt("server", () => lookAtServer(cli, config)),
        await lookAt("operator key", () => lookAtOperatorKey(config)),
        ...(await lookInside(cli, config)),
      ];
      return {
        json: {
          ok: findings.every(({ state }) => state !== "failed"),
          server: config.server,
          checks: findings,
        },
        text: table(findings.map(({ name, state, detail }) => [name, `${state.padEnd(8)}${detail}`])),
        refused: findings.some(({ state }) => state === "failed"),
      };
    },
  });
}

async function lookAt(name: string, look: () => Promise<Omit<Finding, "name">>): Promise<Finding> {
  try {
    return { name, ...(await look()) };
  } catch (error) {
    return { name, state: "failed", detail: messageOf(error) };
  }
}

function messageOf(error: unknown): string {
  if (error instanceof UnreachableError) return unreachableText(error);
  return error instanceof Error ? error.message : String(error);
}

async function lookAtServer(cli: Cli, { server }: Config): Promise<Omit<Finding, "name">> {
  const response = await send(cli, server, `${server}/healthz`, {});
  const skewSeconds = Math.abs(Date.parse(response.headers.get("date") ?? "") - cli.now()) / 1000;
  if (skewSeconds > clockSkewSecondsMax) {
    const detail = `its clock and this one are ${Math.round(skewSeconds)} s apart: signed requests will be refused`;
    return { state: "warning", detail };
  }
  return { state: "ok", detail: `answers at ${server}` };
}

async function lookAtOperatorKey(config: Config): Promise<Omit<Finding, "name">> {
  const path = config.operatorKeyFile ?? operatorKeyPath(config.dataDir);
  const open = await isOpenToOthers(path).catch(() => undefined);
  if (open === undefined) {
    return {
      state: "failed",
      detail: `not at ${path}: set COUNTERSIGN_DATA_DIR or COUNTERSIGN_OPERATOR_KEY`,
    };
  }
  const { clientId } = await readKeyFile(path);
  if (clientId?.split("/").at(-2) !== "operator") {
    return {
      state: "failed",
      detail: `${path} is the key of ${clientId ?? "nobody"}: not an operator's key`,
    };
  }
  return open
    ? { state: "warning", detail: `${path} is open to others: chmod 600` }
    : { state: "ok", detail: path };
}

const readinessSchema = z.looseObject({
  checks: z.array(z.looseObject({ name: z.string(), ok: z.boolean(), reason: z.string().optional() })),
});

/** What the server says of itself: all of it to an operator, and to whoever it can't let in what its probe says. */
async function lookInside(cli: Cli, config: Config): Promise<readonly Finding[]> {
  try {
    const client = await operatorClient(cli, config);
    const { checks } = await client.perform(getServerStatus, {});
    return checks.map((check) => ({ ...check, detail: check.detail || saidOf(check.state === "ok") }));
  } catch (error) {
    const detail = messageOf(error);
    return [{ name: "server's own view", state: "failed", detail }, ...(await lookFromOutside(cli, config))];
  }
}

/** A server that may issue nothing, not even the operator's token, still answers its probe. */
async function lookFromOutside({ fetch }: Cli, { server }: Config): Promise<readonly Finding[]> {
  const body: unknown = await fetch(`${server}/readyz`)
    .then((response) => response.json())
    .catch(() => undefined);
  const checks = readinessSchema.safeParse(body).data?.checks ?? [];
  return checks.map(({ name, ok, reason }) => ({
    name,
    state: ok ? "ok" : "failed",
    detail: reason ?? saidOf(ok),
  }));
}

/** In place of a reason that there is none of. */
function saidOf(ok: boolean): string {
  return ok ? "nothing amiss" : "it says no more";
}
