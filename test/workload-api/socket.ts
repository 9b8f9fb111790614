import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ClientReadableStream, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { pino } from "pino";
import { openWorkloadApi } from "../../src/app/open-workload-api.ts";
import { SecretDiscoveryServiceClient } from "../../src/workload-api/generated/envoy/secret.ts";
import { SpiffeWorkloadAPIClient } from "../../src/workload-api/generated/workload.ts";
import type { WorkloadApi, WorkloadApiLimits } from "../../src/workload-api/workload-api.ts";
import { createMemorySource, type MemorySource } from "./memory-source.ts";

/** A socket of a test's own, with a source behind it. */
export interface TestSocket {
  readonly path: string;
  readonly source: MemorySource;
  readonly api: WorkloadApi;
  /** Everything that was logged. */
  readonly logged: string[];
  readonly close: () => Promise<void>;
}

export const security = new Metadata();
security.set("workload.spiffe.io", "true");

export const self = `unix:uid:${process.getuid?.()}`;

export async function openTestSocket(
  limits: Partial<WorkloadApiLimits> = {},
  isOutage: (error: unknown) => boolean = () => false,
): Promise<TestSocket> {
  const directory = mkdtempSync(join(tmpdir(), "countersign-wla-"));
  const source = await createMemorySource();
  const path = join(directory, "workload.sock");
  const logged: string[] = [];
  const logger = pino({ level: "debug" }, { write: (line: string) => void logged.push(line) });
  const api = await openWorkloadApi({ source, logger, isOutage }, { socketPath: path, limits });
  const close = async () => {
    await api.close();
    rmSync(directory, { recursive: true, force: true });
  };
  return { path, source, api, logged, close };
}

const alone = { "grpc.use_local_subchannel_pool": 1 };

/** A client with a connection of its own. */
export function workloadClient(path: string) {
  return new SpiffeWorkloadAPIClient(`unix:${path}`, credentials.createInsecure(), alone);
}

export function secretClient(path: string) {
  return new SecretDiscoveryServiceClient(`unix:${path}`, credentials.createInsecure(), alone);
}

/** One answer of a unary method, or its status by name. */
export function ask<Answer>(
  send: (respond: (error: ServiceError | null, answer: Answer) => void) => unknown,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    send((error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

/** The status that a call ended with, by name. */
export async function statusOf(answer: Promise<unknown>): Promise<string> {
  try {
    await answer;
    return "OK";
  } catch (error) {
    return status[(error as ServiceError).code];
  }
}

/** Reads a stream message by message. */
export interface Reading<Answer> {
  readonly next: () => Promise<Answer>;
  /** The status it ended with; whatever comes before is an error. */
  readonly end: () => Promise<string>;
  /** Messages that came and were not asked for. */
  readonly waiting: () => number;
  readonly cancel: () => void;
}

export function read<Answer>(stream: ClientReadableStream<Answer>): Reading<Answer> {
  const messages: Answer[] = [];
  const changed = new EventTarget();
  let ended: number | undefined;
  const say = () => void changed.dispatchEvent(new Event("change"));
  stream.on("data", (message: Answer) => {
    messages.push(message);
    say();
  });
  stream.on("error", () => undefined);
  stream.on("status", ({ code }: { code: number }) => {
    ended = code;
    say();
  });
  const change = () => once(changed, "change");
  return {
    async next() {
      while (messages.length === 0) {
        if (ended !== undefined) throw Object.assign(new Error("the stream ended"), { code: ended });
        await change();
      }
      return messages.shift() as Answer;
    },
    async end() {
      while (ended === undefined) await change();
      if (messages.length > 0) throw new Error("the stream had more to say");
      return status[ended] ?? "";
    },
    waiting: () => messages.length,
    cancel: () => stream.cancel(),
  };
}

/** How many descriptors this process has open. */
export function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}
