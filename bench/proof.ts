import { setTimeout as delay } from "node:timers/promises";
import { inclusionProofSchema } from "@countersign/sdk/contract/log-proofs";
import { fromBase64 } from "@countersign/sdk/tlog/base64";
import { parseCheckpoint } from "@countersign/sdk/tlog/checkpoint";
import { parseNote } from "@countersign/sdk/tlog/note";
import { verifyInclusion } from "@countersign/sdk/tlog/proof";
import { leafHash, sha256 as nobleSha256, type Sha256 } from "@countersign/sdk/tlog/rfc6962";
import pg from "pg";
import type { Closing } from "../src/app/closing.ts";
import { sha256 as nodeSha256 } from "../src/ledger/sha256.ts";
import { startEmbeddedPostgres } from "../src/store/postgres/embedded.ts";
import { closedAfter, makeDataDirectory } from "./frame/data-directory.ts";
import { measureFloor, silent } from "./frame/floor.ts";
import { measureRequests } from "./frame/load.ts";
import { measureCalls } from "./frame/measure.ts";
import type { Bench, Row } from "./frame/row.ts";
import { type BenchServer, startServer } from "./frame/server.ts";

const entries = 1_000_000;
const publishTimeoutMs = 60_000;
const verifications = 20_000;

/**
 * Measures inclusion proofs out of a log of a million entries: made by a real server over HTTP, for entries anywhere in
 * the log, and verified with the SDK.
 */
export const bench: Bench = async (closing) => {
  const server = await startServer(closing, makeDataDirectory(closing));
  const first = await growLog(closing, server);
  await untilPublished(server, first + entries);
  const path = (index: number) => `/log/default/proof/inclusion/${first + scatter(index)}`;
  const load = { origin: server.issuer, cpu: server.cpu, expected: '"hashes":[' };
  const shotOf = (index: number) => ({ path: path(index) });
  const proofs = await measureRequests({ ...load, shotOf, callers: 8, operations: 4_000 });
  const verified = await measureVerification(`${server.issuer}${path(1)}`, entryOf(scatter(1)));
  await server.stop();
  const floor = await measureFloor(closing, { signatures: 0, verifications: 0, insert: false });
  return [
    {
      work: "inclusion proof over HTTP, 1 M entries",
      ...proofs,
      floor,
      budgets: [{ of: "cpuMicros", most: 1_000 }],
    },
    ...verified,
  ];
};

/** Entries that are none, but as long as a short one, written in bulk beside the running server; the first one's index. */
function growLog(outer: Closing, { dataDir }: BenchServer): Promise<number> {
  return closedAfter(outer, async (closing) => {
    const postgres = closing.closes(await startEmbeddedPostgres({ log: silent }, dataDir));
    const client = new pg.Client(postgres.target);
    await client.connect();
    closing.add(() => client.end());
    await client.query("BEGIN");
    const { rows } = await client.query(
      "UPDATE log SET next_index = next_index + $1 WHERE id = 'default' RETURNING next_index - $1 AS first",
      [entries],
    );
    const first = Number(rows[0]?.first);
    await client.query(
      `INSERT INTO ledger_entry (log_id, index, entry, leaf_hash)
       SELECT 'default', $1 + i, entry, sha256('\\x00' || convert_to(entry, 'UTF8'))
       FROM generate_series(0, $2 - 1) AS i, LATERAL (SELECT $3 || i AS entry) AS made`,
      [first, entries, entryPrefix],
    );
    await client.query("COMMIT");
    return first;
  });
}

const entryPrefix = "an entry of the bench, ";

function entryOf(place: number): string {
  return `${entryPrefix}${place}`;
}

/** Places all over the log, in an order that visits a tile again only much later. */
function scatter(index: number): number {
  return (index * 7_919 * 37) % entries;
}

async function untilPublished({ issuer }: BenchServer, size: number): Promise<void> {
  const deadline = performance.now() + publishTimeoutMs;
  while (performance.now() < deadline) {
    const response = await fetch(`${issuer}/log/default/checkpoint`);
    const checkpoint = response.ok ? checkpointOf(await response.text()) : undefined;
    if (checkpoint !== undefined && checkpoint.size >= size) return;
    await delay(100);
  }
  throw new Error(`no checkpoint of ${size} entries is published`);
}

function checkpointOf(signed: string) {
  const note = parseNote(signed);
  return note && parseCheckpoint(note.text);
}

/** The entry is hashed, and led up to the root of the checkpoint. */
async function measureVerification(url: string, entryText: string): Promise<readonly Row[]> {
  const answer = inclusionProofSchema.parse(await (await fetch(url)).json());
  const root = checkpointOf(answer.checkpoint)?.root;
  const proof = answer.hashes.map((hash) => fromBase64(hash) ?? new Uint8Array(0));
  if (root === undefined) throw new Error("the proof names no checkpoint");
  const { index, tree_size: size } = answer;
  const entry = Buffer.from(entryText);
  const hashers: readonly (readonly [string, Sha256])[] = [
    ["node:crypto", nodeSha256],
    ["noble, as in a browser", nobleSha256],
  ];
  return hashers.map(([name, hash]): Row => {
    const verify = () => {
      const claim = { index, size, leafHash: leafHash(entry, hash), root, proof };
      if (!verifyInclusion(claim, hash)) throw new Error("the proof does not verify");
    };
    const preimage = new Uint8Array(65);
    const floor = measureCalls(() => {
      for (let hashed = 0; hashed <= proof.length; hashed++) hash(preimage);
    }, verifications);
    return {
      work: `verifying it with ${name}`,
      ...measureCalls(verify, verifications),
      floor,
      budgets: [{ of: "cpuMicros", most: 50 }],
    };
  });
}
