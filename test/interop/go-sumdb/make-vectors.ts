// Writes a log with the server's own code, and what the Go program checks: node --conditions=source make-vectors.ts DIR
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toBase64 } from "@countersign/sdk/tlog/base64";
import { formatTlogProof } from "@countersign/sdk/tlog/tlog-proof";
import { createReader } from "../../../src/ledger/reader.ts";
import { connectDatabase } from "../../../src/store/database.ts";
import { migrate } from "../../../src/store/migrate.ts";
import { startEmbeddedPostgres } from "../../../src/store/postgres/embedded.ts";
import { acmeLog, openTestLedger } from "../../ledger/ledger-fixture.ts";

const entries = 700;
const [directory] = process.argv.slice(2);
if (directory === undefined) throw new Error("name the directory to write to");
mkdirSync(directory, { recursive: true });

const dataDir = mkdtempSync(join(tmpdir(), "countersign-interop-"));
const log = { info: () => undefined, warn: console.warn };
const postgres = await startEmbeddedPostgres({ log }, dataDir);
try {
  await migrate(postgres.target);
  const db = connectDatabase({ log }, postgres.target);
  const ledger = await openTestLedger({ db, target: postgres.target, close: () => db.close() });
  await ledger.grow(entries - 100);
  await ledger.grow(100);
  const reader = createReader({ db });
  const proofs = await Promise.all(
    Array.from({ length: entries }, async (_, index) => {
      const proof = await reader.inclusion(acmeLog, index);
      return proof && formatTlogProof({ index, inclusion: proof.hashes, checkpoint: proof.checkpoint });
    }),
  );
  const pairs = [1, 2, 255, 256, 257, 511, 512, 600, 699, 700].flatMap((to, i, sizes) =>
    sizes.slice(0, i + 1).map((from) => ({ from, to })),
  );
  const consistency = await Promise.all(
    pairs.map(async ({ from, to }) => {
      const hashes = (await reader.consistency(acmeLog, from, to)) ?? [];
      return { from, to, hashes: hashes.map(toBase64) };
    }),
  );
  writeFileSync(join(directory, "export.ndjson"), `${(await ledger.exportLines()).join("\n")}\n`);
  writeFileSync(join(directory, "vkey"), ledger.keys.get(acmeLog)?.[0]?.vkey ?? "");
  writeFileSync(join(directory, "proofs.json"), JSON.stringify({ proofs, consistency }));
  await ledger.close();
} finally {
  await postgres.close();
  rmSync(dataDir, { recursive: true, force: true });
}
