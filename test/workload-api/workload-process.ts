import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { someGid, someUid } from "../svid/attest/process.ts";

/** A stream of X.509-SVIDs, in nothing but Node: a process of another user's may not read what else there is. */
const streaming = `
  const stream = require("node:http2")
    .connect("http://localhost", { createConnection: () => require("node:net").connect(process.argv[1]) })
    .request({
      ":method": "POST",
      ":path": "/SpiffeWorkloadAPI/FetchX509SVID",
      "content-type": "application/grpc",
      te: "trailers",
      "workload.spiffe.io": "true",
    });
  const end = (headers) => headers["grpc-status"] && console.log("end " + headers["grpc-status"]);
  stream.on("response", end).on("trailers", end).on("data", () => console.log("svid")).on("close", () => process.exit());
  stream.end(Buffer.alloc(5));
`;

/** What a workload reads whose stream ends with PERMISSION_DENIED. */
export const denied = "end 7";

/** A workload of another user's, with a stream of X.509-SVIDs. */
export interface WorkloadProcess {
  /** What it is told, one thing at a time: `svid`, or how its stream ended. */
  readonly next: () => Promise<string>;
  readonly end: () => void;
}

/** Starts a workload under an account of nobody's; root alone can. */
export function startWorkload(socket: string): WorkloadProcess {
  const child = spawn(process.execPath, ["-e", streaming, socket], {
    uid: someUid,
    gid: someGid,
    cwd: "/",
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    next: async () => String((await lines.next()).value),
    end: () => child.kill("SIGKILL"),
  };
}
