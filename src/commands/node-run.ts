import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { UnreachableError } from "@countersign/sdk/client/client-error";
import type { Command } from "commander";
import { z } from "zod";
import type { NodeOptions, RunningNode } from "../app/run-node.ts";
import { isLoopback } from "../domain/loopback.ts";
import { tlsFailureOf } from "../fetch/tls-failure.ts";
import type { NodeEvent } from "../node/node-event.ts";
import type { ServerTrust } from "../node/server-connection.ts";
import { SocketTakenError } from "../workload-api/listen.ts";
import { type Cli, CommandError, table, UsageError } from "./cli.ts";
import { handshakeText, oursText } from "./connection.ts";
import { aManifestPath, defineCommand, measureOption, optional, required, someText } from "./define.ts";
import { kubeletGiven, kubeletOf, kubeletOptions } from "./kubelet-options.ts";
import { portFailure } from "./port-failure.ts";

const defaultHealthPort = 8462;
const aHealthPort = someText.transform((text, context) => {
  if (text === "none") return undefined;
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port < 65_536) return port;
  context.addIssue({ code: "custom", message: "must be a port, 0 for any free one, or none" });
  return z.NEVER;
});

const givenSchema = z.object({
  server: someText,
  joinToken: someText.optional(),
  x509popCert: someText.optional(),
  x509popKey: someText.optional(),
  k8sToken: someText.optional(),
  dataDir: someText.default(".countersign-node"),
  socket: someText.optional(),
  ca: someText.optional(),
  trustBundle: someText.optional(),
  attestOwnUid: z.boolean().default(false),
  measure: aManifestPath.optional(),
  healthPort: aHealthPort,
  ...kubeletGiven,
});
type Given = z.output<typeof givenSchema>;

/** `countersign node run`: runs until it is asked to end, or is a node no more. */
export function addNodeRunCommand(node: Command, cli: Cli): void {
  defineCommand(node, cli, {
    usage: "run",
    description: "serve the Workload API to the processes of this machine, with SVIDs from a server",
    example: "--server https://id.example.com:8461 --join-token … --trust-bundle bundle.json",
    options: [
      required("--server <url>", "origin of the server's port that asks for certificates"),
      optional("--join-token <token>", "what to join with the first time"),
      optional("--x509pop-cert <file>", "PEM file of the machine's certificate and its chain, to join with"),
      optional("--x509pop-key <file>", "PEM file of that certificate's key"),
      optional("--k8s-token <file>", "projected service-account token of a Kubernetes pod, to join with"),
      optional("--data-dir <directory>", "where the node's identity lies").default(".countersign-node"),
      optional("--socket <path>", "where to serve; without it, workload.sock in the data directory"),
      optional("--ca <file>", "PEM file of the authorities that the server's certificate is signed by"),
      optional(
        "--trust-bundle <file>",
        "bundle of the trust domain (/spiffe/bundle): the server is known by its X.509-SVID",
      ),
      optional(
        "--attest-own-uid",
        "give SVIDs to processes of the node's own account too: for trying it out",
      ),
      measureOption(),
      optional(
        "--health-port <port>",
        "where health and metrics are served, on loopback; 0 for any free port, none for nowhere",
      ).default(String(defaultHealthPort)),
      ...kubeletOptions,
    ],
    given: givenSchema,
    run: async (given) => {
      await runNode(cli, given, given.json);
      return undefined;
    },
  });
}

/** @throws CommandError `not_attested` once the server says that this is a node no more */
async function runNode(cli: Cli, given: Given, json: boolean): Promise<void> {
  const options = { ...(await optionsOf(given)), logLevel: cli.readConfig().logLevel };
  let onEnded: (reason: string) => void = () => undefined;
  const ended = new Promise<string>((resolve) => {
    onEnded = resolve;
  });
  const onEvent = (event: NodeEvent) => {
    if (json) cli.print(JSON.stringify(event));
    else cli.note(wordsOf(event));
    if (event.event === "ended") onEnded(event.reason);
  };
  const asked = cli.untilAsked();
  const running = await cli.runNode({ ...options, onEvent }).catch((error: unknown) => {
    if (error instanceof SocketTakenError)
      throw new CommandError("socket_taken", `${error.message}: choose another with --socket`, error);
    throw error instanceof UnreachableError
      ? unreachable(error, options.trust)
      : portFailure(error, options.healthPort ?? 0, { option: "--health-port" });
  });
  cli.print(json ? JSON.stringify(readyOf(running)) : welcome(running));
  const reason = await Promise.race([asked, ended]);
  await running.close();
  if (reason !== undefined)
    throw new CommandError("not_attested", `this is a node no more (${reason}): join anew`);
}

/** No server, or none that this node would ask: what it was started with says where and by what. */
function unreachable(error: UnreachableError, { kind }: ServerTrust): CommandError {
  const { server } = error;
  const letIn =
    kind === "spiffe"
      ? `--trust-bundle lets in: fetch the /spiffe/bundle of the server anew`
      : "--ca lets in for this name";
  const words = {
    certificate: `${server} answers, but its certificate is not one that ${letIn}`,
    ours: `${oursText(server)}; see --server`,
    handshake: `${handshakeText(server)}; see --server`,
    other: `no server answers at ${server}: see --server`,
  };
  return new CommandError("unreachable", words[tlsFailureOf(error) ?? "other"], error);
}

function readyOf({ identity: { node, spiffeId }, socketPath, healthPort }: RunningNode): object {
  return { event: "ready", node, spiffe_id: spiffeId, socket: socketPath, health_port: healthPort };
}

function welcome({ identity: { node, spiffeId }, socketPath, healthPort }: RunningNode): string {
  return `The node ${node} serves\n${table([
    ["SPIFFE ID", spiffeId],
    ["workloads", `SPIFFE_ENDPOINT_SOCKET=unix://${socketPath}`],
    ["health", healthPort === undefined ? "none" : `http://127.0.0.1:${healthPort}/readyz`],
  ])}`;
}

function wordsOf(event: NodeEvent): string {
  switch (event.event) {
    case "server-away":
      return `the server does not answer (${event.reason}): serving what is held`;
    case "server-back":
      return "the server answers again";
    case "refused":
      return `the server refused what the node asked (${event.code}): ${event.reason}`;
    case "failed":
      return `the node could not do what it has to: ${event.reason}`;
    case "slowed":
      return `the server wants fewer requests: one waits for ${event.seconds} s`;
    case "renewed":
      return `the node's own SVID was renewed, until ${event.expires_at}`;
    case "ended":
      return `the server ended this node: ${event.reason}`;
  }
}

async function optionsOf(given: Given): Promise<Omit<NodeOptions, "logLevel" | "onEvent">> {
  const { server, dataDir, socket, attestOwnUid, measure, healthPort } = given;
  if (attestOwnUid && !isLoopback(new URL(originOf(server)).hostname))
    throw new UsageError("--attest-own-uid is for trying it out: with a server at a loopback address alone");
  return {
    server: originOf(server),
    trust: await trustOf(given),
    dataDir,
    socketPath: socket,
    attestOwnUid,
    measure,
    healthPort,
    kubelet: kubeletOf(given),
    evidence: evidenceOf(given),
  };
}

function originOf(server: string): string {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url === undefined || (url.origin !== server && `${url.origin}/` !== server))
    throw new UsageError("--server: must be an origin such as https://id.example.com:8461");
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url.hostname)))
    throw new UsageError("--server: must be https; plain http is for loopback only");
  return url.origin;
}

async function trustOf({ ca, trustBundle }: Given): Promise<ServerTrust> {
  if (ca !== undefined && trustBundle !== undefined)
    throw new UsageError("--ca and --trust-bundle: the server is known by one of them");
  if (trustBundle !== undefined) {
    const { readBundleFile } = await import("../node/node-identity.ts");
    const authorities = await readBundleFile(trustBundle).catch((error: unknown) => {
      throw new UsageError(`--trust-bundle: ${trustBundle} is no trust bundle that can be read`, {
        cause: error,
      });
    });
    return { kind: "spiffe", authorities };
  }
  if (ca === undefined) return { kind: "host", caPem: undefined };
  const caPem = await readText("--ca", ca);
  if (!isCertificate(caPem)) throw new UsageError(`--ca: ${ca} holds no certificate in PEM`);
  return { kind: "host", caPem };
}

function isCertificate(pem: string): boolean {
  try {
    // Of several it reads the first.
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    // Node would do without it, and say later that it knows no authority.
    return false;
  }
}

/** One kind of evidence, read when it is needed: a token or a certificate may be another by then. */
function evidenceOf({ joinToken, x509popCert, x509popKey, k8sToken }: Given): NodeOptions["evidence"] {
  const kinds = [joinToken, x509popCert ?? x509popKey, k8sToken].filter((one) => one !== undefined);
  if (kinds.length > 1)
    throw new UsageError("--join-token, --x509pop-cert and --k8s-token: a node joins with one of them");
  if (joinToken !== undefined) return async () => ({ kind: "join_token", token: joinToken });
  if (k8sToken !== undefined)
    return async () => ({ kind: "k8s_psat", token: (await readText("--k8s-token", k8sToken)).trim() });
  if (x509popCert === undefined && x509popKey === undefined) return undefined;
  if (x509popCert === undefined || x509popKey === undefined)
    throw new UsageError("--x509pop-cert and --x509pop-key are given together");
  return async (connection, publicKey) => {
    const { x509popEvidence } = await import("../node/x509pop-evidence.ts");
    const certPem = await readText("--x509pop-cert", x509popCert);
    return x509popEvidence(connection, publicKey, certPem, await readText("--x509pop-key", x509popKey));
  };
}

function readText(option: string, path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: unknown) => {
    throw new UsageError(`${option}: ${path} can't be read`, { cause: error });
  });
}
