import { createHash, randomBytes } from "node:crypto";
import type { LedgerEntryBody } from "@countersign/sdk/contract/ledger-entry";
import { logOf, newId, type OrganizationId, parseId, parseOrganizationId } from "@countersign/sdk/model/ids";
import type { Closing } from "../src/app/closing.ts";
import type { DelegationChain } from "../src/domain/delegation-chain.ts";
import { chainConditions } from "../src/journeys/record/conditions.ts";
import type { AppendEntry, AppendRequest } from "../src/ledger/append.ts";
import { createSequencer } from "../src/ledger/sequencer.ts";
import { connectDatabase, type Database } from "../src/store/database.ts";
import { findDelegationChain } from "../src/store/delegations.ts";
import { findLog } from "../src/store/logs.ts";
import { startEmbeddedPostgres } from "../src/store/postgres/embedded.ts";
import { cpuOfThisWith } from "./frame/cpu.ts";
import { closedAfter, makeDataDirectory } from "./frame/data-directory.ts";
import { silent } from "./frame/floor.ts";
import { openGroupInserts } from "./frame/group-inserts.ts";
import { measureCallers } from "./frame/measure.ts";
import { type Population, populate } from "./frame/population.ts";
import type { Bench, Figures } from "./frame/row.ts";
import { startServer } from "./frame/server.ts";

/** What a bench of this module appends, and how often. */
interface Appending {
  readonly callers: number;
  readonly operations: number;
}

const many: Appending = { callers: 64, operations: 40_000 };
const one: Appending = { callers: 1, operations: 1_500 };
const chains = 32;
const depth = 3;

/**
 * Measures the sequencer in this process: entries as a token's issuance at depth 3 writes them, alone, and with the
 * conditions and the decision input that an exchange commits beside each.
 */
export const bench: Bench = async (closing) => {
  const dataDir = makeDataDirectory(closing);
  const population = await populateWithServer(closing, dataDir);
  const postgres = closing.closes(await startEmbeddedPostgres({ log: silent }, dataDir));
  const db = closing.closes(connectDatabase({ log: silent }, postgres.target));
  const requests = await requestsOf(db, population);
  const append = openAppend(closing, db);
  const log = logOf(organization());
  const cpu = cpuOfThisWith(dataDir);

  const entriesOnly = (index: number) => append(log, { entry: at(requests, index).entry });
  const asExchanges = (index: number) => append(log, withInput(at(requests, index)));
  const alone = await measureCallers(entriesOnly, { ...one, cpu });
  const together = await measureCallers(entriesOnly, { ...many, cpu });
  const exchanged = await measureCallers(asExchanges, { ...many, cpu });

  const inserts = await openGroupInserts(postgres.target);
  const entry = JSON.stringify(at(requests, 0).entry);
  const measureInserts = (appending: Appending): Promise<Figures> =>
    measureCallers(() => new Promise<void>((resolve) => inserts.insert(entry, resolve)), {
      ...appending,
      cpu,
    });
  const floorAlone = await measureInserts(one);
  const floorTogether = await measureInserts(many);
  await inserts.close();

  return [
    { work: "ledger append, one caller", ...alone, floor: floorAlone },
    {
      work: "ledger append, 64 callers",
      ...together,
      floor: floorTogether,
      budgets: [{ of: "ratePerSecond", least: 20_000 }],
    },
    { work: "… with conditions and decision input", ...exchanged, floor: floorTogether },
  ];
};

/** The rows that conditions are read from are made by the product itself; its server is gone before it is measured. */
function populateWithServer(outer: Closing, dataDir: string): Promise<Population> {
  return closedAfter(outer, async (closing) =>
    populate(await startServer(closing, dataDir), { chains, depth }),
  );
}

function openAppend(closing: Closing, db: Database): AppendEntry {
  const sequencer = createSequencer({
    db,
    now: Date.now,
    randomBytes,
    originOf: async (log) => (await findLog(db, log))?.origin,
    checkNotBehind: async () => undefined,
    onCommitted: () => undefined,
  });
  return closing.closes(sequencer).append;
}

async function requestsOf(db: Database, { chains: all }: Population): Promise<readonly AppendRequest[]> {
  return Promise.all(
    all.map(async (hops) => {
      const id = parseId("delegation", hops.at(-1)?.delegation ?? "");
      const chain = id && (await findDelegationChain(db, organization(), id));
      if (chain === undefined) throw new Error("a delegation is missing");
      const entry = entryOf(chain);
      return { entry, conditions: chainConditions(chain), otherwise: () => entry };
    }),
  );
}

/** As exchangeToken records it. */
function entryOf({ leaf, subject, resource }: DelegationChain): LedgerEntryBody {
  const hash = createHash("sha256").update(leaf.delegation.id).digest("base64url");
  const nowMs = Date.now();
  return {
    type: "token.issued",
    organization: organization(),
    actor: { kind: "agent", id: leaf.agent.id },
    agent: leaf.agent.id,
    request: randomBytes(16).toString("base64url"),
    txn: newId("transaction", nowMs, randomBytes(16)),
    action: "token.exchange",
    owner: leaf.owner.id,
    subject: subject.id,
    delegation: leaf.delegation.id,
    path: [...leaf.delegation.path],
    resource: resource.audience,
    scope: [...leaf.delegation.scope],
    decision: {
      effect: "allow",
      rule: "agent-exchanges-delegated",
      reason: "An agent may redeem what was delegated to it",
      policy: hash,
      input: hash,
    },
    jti: newId("token", nowMs, randomBytes(16)),
    claims_hash: hash,
  };
}

/** Each decision input is a row of its own, sealed by the first data key. */
function withInput(request: AppendRequest): AppendRequest {
  const row = {
    hash: randomBytes(32).toString("base64url"),
    organization_id: organization(),
    sealed: sealedInput,
    data_key_id: "1",
    created_at: new Date(),
  };
  return { ...request, writes: [{ into: "decision_input", row }] };
}

const sealedInput = randomBytes(320).toString("base64");

function organization(): OrganizationId {
  const parsed = parseOrganizationId("default");
  if (parsed === undefined) throw new Error("the first organization's id is malformed");
  return parsed;
}

function at<Item>(items: readonly Item[], index: number): Item {
  const item = items[index % items.length];
  if (item === undefined) throw new RangeError("the list is empty");
  return item;
}
