// The least that a Workload API could be: a gRPC server at a Unix socket that answers what it was asked, over streams too.
import { generateKeyPairSync, sign } from "node:crypto";
import { Server, ServerCredentials, type ServerWritableStream } from "@grpc/grpc-js";
import { bareMethods } from "./bare-grpc.ts";

const [, , path = "", signatures = "0"] = process.argv;
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const streams = new Set<ServerWritableStream<Buffer, Buffer>>();
const server = new Server();
server.addService(bareMethods, {
  ask(call: { readonly request: Buffer }, respond: (error: null, answer: Buffer) => void) {
    for (let index = 0; index < Number(signatures); index++) sign("sha256", call.request, privateKey);
    respond(null, call.request);
  },
  watch(call: ServerWritableStream<Buffer, Buffer>) {
    streams.add(call);
    call.write(call.request);
  },
});
server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), () => process.send?.("ready"));
process.on("message", () => {
  for (const stream of streams) stream.write(stream.request);
});
process.on("disconnect", () => process.exit());
