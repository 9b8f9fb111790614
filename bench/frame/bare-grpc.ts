import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client, type ClientReadableStream, credentials } from "@grpc/grpc-js";
import type { Closing } from "../../src/app/closing.ts";
import { type CpuMeter, cpuOfProcess, memoryMiBOf } from "./cpu.ts";

const asIs = (bytes: Buffer) => bytes;
const method = (path: string, responseStream: boolean) => ({
  path,
  requestStream: false,
  responseStream,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
});
/** Octets in, the same octets out. */
export const bareMethods = { ask: method("/floor/ask", false), watch: method("/floor/watch", true) };

/** A gRPC server without any of the product, in a process of its own. */
export interface BareGrpc {
  readonly cpu: CpuMeter;
  readonly memoryMiB: () => number;
  readonly client: () => BareClient;
  /** Writes to every stream. */
  readonly push: () => void;
}

export interface BareClient {
  readonly ask: (octets: Buffer) => Promise<Buffer>;
  readonly watch: (octets: Buffer) => ClientReadableStream<Buffer>;
}

/** @param signatures ES256, how many each answer costs */
export async function startBareGrpc(
  closing: Closing,
  directory: string,
  signatures: number,
): Promise<BareGrpc> {
  const path = join(directory, `bare-${signatures}.sock`);
  const script = fileURLToPath(new URL("./floor-grpc.ts", import.meta.url));
  const child = fork(script, [path, String(signatures)], { execArgv: ["--conditions=source"] });
  closing.add(() => void child.kill());
  await once(child, "message");
  const pid = child.pid ?? 0;
  return {
    cpu: cpuOfProcess(pid),
    memoryMiB: () => memoryMiBOf([pid]),
    push: () => void child.send("push"),
    client: () => bareClient(closing, path),
  };
}

function bareClient(closing: Closing, path: string): BareClient {
  const client = new Client(`unix:${path}`, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
  });
  closing.add(() => client.close());
  const { ask, watch } = bareMethods;
  return {
    ask: (octets) =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(ask.path, asIs, asIs, octets, (error, answer) =>
          answer === undefined ? reject(error ?? new Error("there is no answer")) : resolve(answer),
        );
      }),
    watch: (octets) => client.makeServerStreamRequest(watch.path, asIs, asIs, octets),
  };
}
