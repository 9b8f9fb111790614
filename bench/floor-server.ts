import { createHash, generateKeyPairSync, sign, verify } from "node:crypto";
import { createServer } from "node:http";
import pg from "pg";
import type { FloorServerRequest } from "./floor.ts";

const { verifications, target }: FloorServerRequest = JSON.parse(process.argv[2] ?? "{}");
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const claims = Buffer.from(JSON.stringify({ iss: "https://floor.example", pad: "x".repeat(500) }));
const signed = sign("sha256", claims, privateKey);
const insert = target === undefined ? undefined : await openInserts(new pg.Client(target));

const server = createServer((incoming, outgoing) => {
  incoming.resume();
  incoming.on("end", () => {
    for (let index = 0; index < verifications; index++) {
      if (!verify("sha256", claims, publicKey, signed)) throw new Error("the signature is not valid");
    }
    const answer = () => {
      const token = sign("sha256", claims, privateKey).toString("base64url");
      outgoing.setHeader("content-type", "application/json").end(JSON.stringify({ access_token: token }));
    };
    if (insert === undefined) answer();
    else insert(claims.toString(), answer);
  });
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.send?.(typeof address === "object" ? address?.port : undefined);
});
process.on("disconnect", () => process.exit());

/** Inserts entries; what arrives while a statement runs goes into the next one. `then` is called when it is durable. */
async function openInserts(client: pg.Client): Promise<(entry: string, then: () => void) => void> {
  await client.connect();
  await client.query(
    "CREATE TABLE floor (index bigint PRIMARY KEY, entry text NOT NULL, hash bytea NOT NULL)",
  );
  const text = `INSERT INTO floor SELECT index, entry, decode(hash, 'hex')
    FROM json_to_recordset($1::json) AS row (index bigint, entry text, hash text)`;
  let waiting: { entry: string; then: () => void }[] = [];
  let running = false;
  let size = 0;

  const drain = async (): Promise<void> => {
    running = true;
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      const rows = batch.map(({ entry }) => ({
        index: size++,
        entry,
        hash: createHash("sha256").update(entry).digest("hex"),
      }));
      await client.query({ name: "floor", text, values: [JSON.stringify(rows)] });
      for (const { then } of batch) then();
    }
    running = false;
  };

  return (entry, then) => {
    waiting.push({ entry, then });
    // A failed insert ends the process, and with it the measurement.
    if (!running) void drain();
  };
}
