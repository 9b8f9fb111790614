import { join } from "node:path";
import {
  approveAgentChecksum,
  declareAgentConfiguration,
  listAgentChecksums,
  withdrawAgentChecksum,
} from "@countersign/sdk/contract/agent-configuration";
import { createEntry } from "@countersign/sdk/contract/entries";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cast, castPlayers } from "../chaos/cast.ts";
import { sqlOf } from "../chaos/postgres.ts";
import { type Installation, makeInstallation, type Party, type ServerProcess } from "../server.ts";
import { canRunAsNobody } from "../store/holder.ts";
import { someUid } from "../svid/attest/process.ts";
import {
  expectApprovalDecides,
  one,
  openMeasuredWorkloads,
  other,
  second,
} from "../workload-api/measured-workloads.ts";
import { denied } from "../workload-api/workload-process.ts";

const removals: (() => Promise<void>)[] = [];
const workloads = openMeasuredWorkloads();
let installation: Installation;
let server: ServerProcess;
let cast: Cast;
let agent: Party;

beforeAll(async () => {
  const options = ["--measure", workloads.manifest];
  installation = await makeInstallation({}, (remove) => removals.push(remove), options);
  server = await installation.startServer();
  cast = await castPlayers(installation, server);
  agent = await cast.createAgent("measured");
  const body = { agent: agent.id, selectors: [`unix:uid:${someUid}`] };
  await cast.operator.perform(createEntry, { body });
});
afterAll(async () => {
  for (const remove of removals) await remove();
  workloads.close();
});

const startWorkload = () => workloads.start(join(installation.dataDir, "workload.sock"));

const approve = (checksum: string) =>
  cast.operator.perform(approveAgentChecksum, { params: { id: agent.id }, body: { checksum } });
const withdraw = (checksum: string) =>
  cast.operator.perform(withdrawAgentChecksum, { params: { id: agent.id, checksum } });

async function lastOf(type: string): Promise<Record<string, unknown> | undefined> {
  const rows = await sqlOf(installation.dataDir, "SELECT entry FROM ledger_entry ORDER BY log_id, index");
  return rows.map(({ entry }) => JSON.parse(String(entry))).findLast((entry) => entry.type === type);
}

describe("an agent over HTTP", () => {
  it("[CHK-002] declares its configuration, and another's as little as an operator does", async () => {
    const client = installation.clientAt(server, agent);
    const declared = await client.perform(declareAgentConfiguration, {
      params: { id: agent.id },
      body: second,
    });
    expect(declared).toMatchObject({ agent: agent.id, checksum: other });
    expect(await lastOf("agent.configured")).toMatchObject({
      attestation: "declared",
      detail: { checksum: other },
    });
    const foreign = await cast.createAgent("other");
    const asAnother = client.perform(declareAgentConfiguration, { params: { id: foreign.id }, body: second });
    await expect(asAnother).rejects.toMatchObject({ code: "not_found" });
  });

  it("[CHK-007] approves nothing", async () => {
    const request = { params: { id: agent.id }, body: { checksum: other }, scope: "report" } as const;
    const own = installation.clientAt(server, agent).perform(approveAgentChecksum, request);
    await expect(own).rejects.toMatchObject({ code: "insufficient_scope" });
  });
});

// Skipped elsewhere: only root can play another user, and not with a program below a directory that is closed to it.
describe.runIf(canRunAsNobody)("[CHK-006] a workload whose configuration is measured", () => {
  it("gets SVIDs while none is approved, and loses them when another one is", async () => {
    const workload = startWorkload();
    expect(await workload.next()).toBe("svid");
    expect(await lastOf("svid.issued")).toMatchObject({ attestation: "measured", detail: { checksum: one } });
    await approve(other);
    expect(await workload.next()).toBe(denied);
    expect(await lastOf("svid.refused")).toMatchObject({
      agent: agent.id,
      refusal: { code: "not_attested", reason: expect.stringContaining(one) },
    });
    expect(await startWorkload().next()).toBe(denied);
  });

  it("has them at once when its own is approved, and loses them when that is withdrawn", async () => {
    await expectApprovalDecides({ approve, withdraw, startWorkload });
  });

  it("[CHK-005] goes on under a new configuration once that is approved, beside those of the old one", async () => {
    const old = startWorkload();
    expect(await old.next()).toBe("svid");
    await withdraw(other);
    workloads.deploy(second);
    expect(await startWorkload().next()).toBe(denied);
    await approve(other);
    expect(await startWorkload().next()).toBe("svid");
    expect(await lastOf("svid.issued")).toMatchObject({ detail: { checksum: other } });
    await withdraw(one);
    expect(await old.next()).toBe(denied);
    const { items } = await cast.operator.perform(listAgentChecksums, { params: { id: agent.id } });
    expect(new Map(items.map(({ checksum, status }) => [checksum, status]))).toEqual(
      new Map([
        [one, "withdrawn"],
        [other, "approved"],
      ]),
    );
  });
});
