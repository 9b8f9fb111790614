import { read, security, workloadClient } from "./socket.ts";

// A workload in a process of its own: says so when it has its SVIDs, then waits to be killed.
const reading = read(workloadClient(process.argv[2] ?? "").fetchX509Svid({}, security));
const { svids } = await reading.next();
console.info(`${svids.length} SVIDs`);
