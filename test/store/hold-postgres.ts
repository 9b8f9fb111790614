// A server process in miniature: holds the PostgreSQL of a data directory until its standard input ends.
import { startEmbeddedPostgres } from "../../src/store/postgres/embedded.ts";

const [dataDir = ""] = process.argv.slice(2);
const postgres = await startEmbeddedPostgres({ log: console }, dataDir);
console.log("ready");
process.stdin.resume();
process.stdin.once("end", () => void postgres.close());
