import type { LedgerActor } from "@countersign/sdk/contract/ledger-entry";
import type { LogId } from "@countersign/sdk/model/ids";
import { toBase64 } from "@countersign/sdk/tlog/base64";
import { emptyFrontier, extendFrontier, type Frontier, frontierRoot } from "@countersign/sdk/tlog/frontier";
import { leafHash, sameBytes } from "@countersign/sdk/tlog/rfc6962";
import { DomainError } from "../domain/domain-error.ts";
import type { Database } from "../store/database.ts";
import { readEntries } from "../store/ledger-entries.ts";
import { findLog, type StoredLog, unpublish } from "../store/logs.ts";
import { findTile, type StoredTile, writeTiles } from "../store/tiles.ts";
import type { AppendEntry } from "./append.ts";
import { type LogStanding, publishedCheckpoint, standingOf } from "./check-log.ts";
import type { CheckpointMemory } from "./checkpoint-memory.ts";
import type { PublishedCheckpoint } from "./publish.ts";
import { sha256 } from "./sha256.ts";
import { toStoredTile } from "./tiles.ts";

/** What an operator must know of a log before accepting it as it is. */
export interface LogReport {
  readonly log: LogId;
  readonly origin: string;
  /** `forked` also when the database's own checkpoint is not of the database's entries. */
  readonly state: LogStanding["state"];
  /** The tree of all entries in the database, each of them hashed anew. The root is base64. */
  readonly present: TreeHead;
  /** The last checkpoint that was signed as far as is known here. */
  readonly remembered?: TreeHead & { readonly note: string };
  /** The checkpoint in the database, and whether the entries make it. */
  readonly published?: { readonly note: string; readonly holds: boolean };
  /**
   * Indices [from, to) that were signed and are gone, or that hold something else now. Whatever they told of has not
   * happened as far as this server knows: revocations among them are undone, retired keys are back.
   */
  readonly lost?: { readonly from: number; readonly to: number };
  /** Full tiles that are missing or wrong; they are made anew from the entries. */
  readonly tilesWrong: number;
}

interface TreeHead {
  readonly size: number;
  readonly root: string;
}

export interface InspectDeps {
  readonly db: Database;
  readonly memory: CheckpointMemory;
}

/**
 * Hashes every entry of a log anew and tells how the log stands to what was signed. Changes nothing.
 *
 * @throws DomainError `not_found`; `internal` naming the first entry that is missing or is not what was committed
 */
export async function inspectLog(deps: InspectDeps, log: LogId): Promise<LogReport> {
  return (await inspect(deps, log)).report;
}

async function inspect(deps: InspectDeps, id: LogId): Promise<{ log: StoredLog; report: LogReport; repair: () => Promise<void> }> {
  const log = await findLog(deps.db, id);
  if (log === undefined) throw new DomainError("not_found", `there is no log ${id}`);
  let tilesWrong = 0;
  const audit = await auditEntries(deps.db, log, async () => {
    tilesWrong++;
  });
}
