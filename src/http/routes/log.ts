import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { consistencyProofSchema, inclusionProofSchema } from "@countersign/sdk/contract/log-proofs";
import { parseLogId } from "@countersign/sdk/model/ids";
import { toBase64 } from "@countersign/sdk/tlog/base64";
import { parseDecimal } from "@countersign/sdk/tlog/checkpoint";
import { parseTilePath, tileWidth } from "@countersign/sdk/tlog/tile";
import { formatTlogProof } from "@countersign/sdk/tlog/tlog-proof";
import type { Request, Response, Router } from "express";
import { DomainError } from "../../domain/domain-error.ts";
import { authenticateCaller, type CallerDeps, runsInstallation } from "../caller.ts";
import { found } from "../found.ts";
import type { LogSource, ServedInclusion, ServedLog } from "../log-source.ts";
import { toWire } from "../wire.ts";

export type LogRouteDeps = CallerDeps & { readonly logs: LogSource };

/** What is named by its content's place in an append-only log never changes. */
const forever = "max-age=31536000, immutable";

/**
 * `/log/:log/…`: checkpoints and proofs for everybody; tiles, bundles, entries and exports for auditors, unless the log
 * is declared public.
 *
 * @see C2SP tlog-tiles, "Parameters"; tlog-proof
 */
export function mountLog(router: Router, deps: LogRouteDeps): void {
  router.get("/log/:log/checkpoint", async (request, response) => {
    const log = await findLog(deps, request);
    sendText(response, found(await deps.logs.checkpoint(log.id)), "no-cache");
  });
  router.get("/log/:log/tile/*path", async (request, response) => {
    const log = await readableLog(deps, request);
    const name = found(parseTilePath(`tile/${[request.params.path].flat().join("/")}`));
    const octets = found(await deps.logs.tile(log.id, name));
    // A partial tile may disappear once the full one exists, but what it held never changes.
    response.setHeader("cache-control", visibility(log, name.width === tileWidth ? forever : "max-age=60"));
    response.type("application/octet-stream").send(Buffer.from(octets));
  });
  router.get("/log/:log/entry/:index", async (request, response) => {
    const log = await readableLog(deps, request);
    const entry = found(await deps.logs.entry(log.id, indexOf(request)));
    response.setHeader("cache-control", visibility(log, forever));
    response.type("application/json").send(entry);
  });
  router.get("/log/:log/export", async (request, response) => {
    const log = await readableLog(deps, request);
    response.setHeader("cache-control", "no-store");
    response.type("application/x-ndjson");
    await pipeline(Readable.from(withNewlines(deps.logs.export(log.id))), response);
  });
  mountProofs(router, deps);
}

function mountProofs(router: Router, deps: LogRouteDeps): void {
  router.get("/log/:log/proof/consistency", async (request, response) => {
    const log = await findLog(deps, request);
    const [from, to] = [numberOf(request, "from"), numberOf(request, "to")];
    const hashes = await deps.logs.consistency(log.id, from, to);
    if (hashes === undefined) throw new DomainError("invalid_request", "the log has no two such trees");
    response.json(toWire(consistencyProofSchema, { log: log.id, from, to, hashes: hashes.map(toBase64) }));
  });
  router.get("/log/:log/proof/inclusion/:index", async (request, response) => {
    const log = await findLog(deps, request);
    const proof = found(await deps.logs.inclusion(log.id, indexOf(request)));
    response.json(inclusionToWire(log, proof));
  });
  router.get("/log/:log/proof/:index", async (request, response) => {
    const log = await findLog(deps, request);
    const { index, hashes, checkpoint } = found(await deps.logs.inclusion(log.id, indexOf(request)));
    sendText(response, formatTlogProof({ index, inclusion: hashes, checkpoint }), "no-cache");
  });
}

function inclusionToWire(log: ServedLog, proof: ServedInclusion) {
  return toWire(inclusionProofSchema, {
    log: log.id,
    index: proof.index,
    tree_size: proof.size,
    leaf_hash: toBase64(proof.leafHash),
    hashes: proof.hashes.map(toBase64),
    checkpoint: proof.checkpoint,
  });
}

async function findLog(deps: LogRouteDeps, request: Request): Promise<ServedLog> {
  const id = found(parseLogId(String(request.params["log"])));
  return found(await deps.logs.find(id));
}

/** The log, if the caller may read all of it. */
async function readableLog(deps: LogRouteDeps, request: Request): Promise<ServedLog> {
  const log = await findLog(deps, request);
  if (log.public) return log;
  const { caller } = await authenticateCaller(deps, request, ["audit"]);
  // The installation's own log tells of every organization: it is for those who run the server.
  const mayRead =
    log.organization === undefined
      ? runsInstallation(deps, caller)
      : caller.organization === log.organization;
  return found(mayRead ? log : undefined);
}

function indexOf(request: Request): number {
  return found(parseDecimal(String(request.params["index"])));
}

function numberOf(request: Request, name: string): number {
  const value = request.query[name];
  const number = typeof value === "string" ? parseDecimal(value) : undefined;
  if (number === undefined) throw new DomainError("invalid_request", `${name}: must be a tree size`);
  return number;
}

function visibility(log: ServedLog, lifetime: string): string {
  return `${log.public ? "public" : "private"}, ${lifetime}`;
}

function sendText(response: Response, text: string, cacheControl: string): void {
  response.setHeader("cache-control", cacheControl);
  response.type("text/plain; charset=utf-8").send(text);
}

async function* withNewlines(lines: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const line of lines) yield `${line}\n`;
}
