import { generateKeyPairSync, sign, verify } from "node:crypto";
import { createServer } from "node:http";
import type { FloorServerRequest } from "./floor.ts";
import { openGroupInserts } from "./group-inserts.ts";

const { signatures, verifications, target }: FloorServerRequest = JSON.parse(process.argv[2] ?? "{}");
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const claims = Buffer.from(JSON.stringify({ iss: "https://floor.example", pad: "x".repeat(500) }));
const signed = sign("sha256", claims, privateKey);
const inserts = target && (await openGroupInserts(target));

const server = createServer((incoming, outgoing) => {
  incoming.resume();
  incoming.on("end", () => {
    for (let index = 0; index < verifications; index++) {
      if (!verify("sha256", claims, publicKey, signed)) throw new Error("the signature is not valid");
    }
    const answer = () => {
      let token = signed;
      for (let index = 0; index < signatures; index++) token = sign("sha256", claims, privateKey);
      const body = JSON.stringify({ access_token: token.toString("base64url") });
      outgoing.setHeader("content-type", "application/json").end(body);
    };
    if (inserts === undefined) answer();
    else inserts.insert(claims.toString(), answer);
  });
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.send?.(typeof address === "object" ? address?.port : undefined);
});
process.on("disconnect", () => process.exit());
