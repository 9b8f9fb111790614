// Remembers every other checkpoint up to 800: node --conditions=source remember-checkpoints.ts DATA_DIR FIRST
import { parseLogId } from "@countersign/sdk/model/ids";
import { openCheckpointMemory } from "../../src/ledger/checkpoint-memory.ts";
import { noteOf } from "./some-note.ts";

const [dataDir = "", first = ""] = process.argv.slice(2);
const log = parseLogId("acme");
if (log === undefined) throw new Error("acme is the name of a log");
const memory = await openCheckpointMemory(dataDir);
for (let size = Number(first); size <= 800; size += 2) await memory.remember(log, noteOf(size));
