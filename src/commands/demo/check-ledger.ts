import type { Client } from "@countersign/sdk/client/client";
import { RefusedError } from "@countersign/sdk/client/client-error";
import { ledgerEntrySchema } from "@countersign/sdk/contract/ledger-entry";
import { verifyExport } from "@countersign/sdk/tlog/export";
import { linesOf } from "@countersign/sdk/tlog/export-lines";
import { verifyRecordedToken } from "@countersign/sdk/verify/verify-recorded-token";
import { verifierKeysOf } from "../keys.ts";
import { expectThat } from "./narrator.ts";
import type { Stage } from "./stage.ts";

interface RecordedToken {
  readonly token: string;
  readonly log: string;
  readonly index: number;
}

const checkpointTimeoutMs = 30_000;

/** Verifies the log offline, and shows that the token's entry stands in it and names the token's very claims. */
export async function checkLedger(stage: Stage, operator: Client, recorded: RecordedToken): Promise<void> {
  const { narrator } = stage;
  const { log, index } = recorded;
  // The proof first: it waits until a checkpoint covers the entry, and then the export has it too.
  const proof = await provenEntry(stage, log, index);
  const vkeys = await verifierKeysOf(operator, log);
  const { body } = await operator.fetchRaw({ method: "GET", path: `/log/${log}/export`, scope: "audit" });
  expectThat(body !== null, "the export is empty");
  const verdict = await verifyExport(linesOf(body), { vkeys });
  expectThat(verdict.ok, `the log does not verify: ${verdict.ok ? "" : verdict.problem.detail}`);
  narrator.tell(
    "The ledger is verified offline: every entry, tile and the signed checkpoint",
    `countersign ledger export --out ${log}.ndjson && countersign ledger verify ${log}.ndjson --vkey '${verdict.signedBy[0]}'`,
    [`${verdict.size} entries of ${verdict.origin}, root ${verdict.root}, keys: ${verdict.keys}`],
  );

  const path = `/log/${log}/entry/${index}`;
  const entry = await (await operator.fetchRaw({ method: "GET", path, scope: "audit" })).text();
  const found = await verifyRecordedToken(recorded.token, { entry, proof }, { vkeys });
  const { claims_hash, path: delegations = [] } = ledgerEntrySchema.parse(JSON.parse(entry));
  narrator.tell("The token's entry is proven to stand in it", `countersign ledger prove ${index}`, [
    `entry ${found.index} of ${found.size} in ${found.origin}: ${found.type}, path ${delegations.join(" → ")}`,
    `its claims_hash ${claims_hash} is the hash of the token's own claims`,
    ...proof.trimEnd().split("\n"),
  ]);
}

async function provenEntry({ cli, server }: Stage, log: string, index: number): Promise<string> {
  const deadlineMs = cli.now() + checkpointTimeoutMs;
  for (;;) {
    const response = await cli.fetch(`${server.issuer}/log/${log}/proof/${index}`);
    if (response.ok) return response.text();
    if (cli.now() > deadlineMs) {
      throw new RefusedError(response.status, "no_checkpoint", `no checkpoint covers entry ${index} yet`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
