import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { agentChecksum } from "@countersign/sdk/model/agent-configuration";
import { expect } from "vitest";
import { keptDirectory } from "../svid/attest/process.ts";
import { denied, startWorkload, type WorkloadProcess } from "./workload-process.ts";

const configurationOf = (model: string) => ({
  model,
  prompt_sha256: "a".repeat(64),
  tools_sha256: "b".repeat(64),
});

const first = configurationOf("model-1");
/** Another configuration than is deployed at first. */
export const second = configurationOf("model-2");
/** The checksums of both. */
export const [one, other] = [agentChecksum(first), agentChecksum(second)];

/** The manifest of what is deployed, which has the checksum `one` at first, and workloads that are measured by it. */
export function openMeasuredWorkloads() {
  const base = mkdtempSync(join(keptDirectory, "countersign-test-"));
  const manifest = join(base, "agent.json");
  const started: WorkloadProcess[] = [];
  const deploy = (configuration: object | undefined) =>
    writeFileSync(manifest, JSON.stringify(configuration), { mode: 0o644 });
  chmodSync(base, 0o755);
  deploy(first);
  return {
    manifest,
    deploy,
    start(socket: string): WorkloadProcess {
      const workload = startWorkload(socket);
      started.push(workload);
      return workload;
    },
    close() {
      for (const workload of started) workload.end();
      rmSync(base, { recursive: true });
    },
  };
}

/** Workloads of the configuration `one` have SVIDs at once when it is approved, and lose them when that is withdrawn. */
export async function expectApprovalDecides(of: {
  readonly approve: (checksum: string) => Promise<unknown>;
  readonly withdraw: (checksum: string) => Promise<unknown>;
  readonly startWorkload: () => WorkloadProcess;
}): Promise<void> {
  await of.approve(one);
  const workload = of.startWorkload();
  expect(await workload.next()).toBe("svid");
  await of.withdraw(one);
  expect(await workload.next()).toBe(denied);
  await of.approve(one);
  expect(await of.startWorkload().next()).toBe("svid");
}
