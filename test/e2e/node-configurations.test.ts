import { join } from "node:path";
import { approveAgentChecksum, withdrawAgentChecksum } from "@countersign/sdk/contract/agent-configuration";
import { createEntry } from "@countersign/sdk/contract/entries";
import { parseId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { base64Of } from "../../src/domain/base64.ts";
import { readIdentity } from "../../src/node/node-identity.ts";
import { createServerConnection } from "../../src/node/server-connection.ts";
import { newKeyPair } from "../../src/svid/key-pair.ts";
import { run } from "../cli/cli.ts";
import { until } from "../server.ts";
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
import { type NodeProcess, type NodeStage, openNodeStage, shownBy } from "./node-stage.ts";

const workloads = openMeasuredWorkloads();
let stage: NodeStage;
let node: NodeProcess;
let entry: string;

beforeAll(async () => {
  stage = await openNodeStage();
  node = await stage.joinNode("--measure", workloads.manifest);
  const parent = parseId("node", node.id);
  const body = { agent: stage.agent.id, selectors: [`unix:uid:${someUid}`], parent };
  entry = (await stage.cast.operator.perform(createEntry, { body })).id;
  const metrics = async () => (await fetch(`${node.health}/metrics`)).text();
  await until("the node to know of it", async () => (await metrics()).includes("countersign_node_entries 1"));
});
afterAll(async () => {
  await stage.close();
  workloads.close();
});

const startWorkload = () => workloads.start(join(node.dataDir, "workload.sock"));

const approve = (checksum: string) =>
  stage.cast.operator.perform(approveAgentChecksum, { params: { id: stage.agent.id }, body: { checksum } });
const withdraw = (checksum: string) =>
  stage.cast.operator.perform(withdrawAgentChecksum, { params: { id: stage.agent.id, checksum } });
const lastOf = async (type: string) =>
  (await stage.entriesOf(type)).findLast((one) => one["agent"] === stage.agent.id);
/** What `agent history` says once it knows of the last refusal. */
async function historyTold(): Promise<string> {
  const environment = {
    COUNTERSIGN_SERVER: stage.server.current.url,
    COUNTERSIGN_DATA_DIR: stage.installation.dataDir,
  };
  const last = String((await lastOf("svid.refused"))?.["time"]);
  const history = async () => (await run(["agent", "history", stage.agent.id], environment)).out;
  await until("a checkpoint", async () => (await history()).includes(last));
  return history();
}
const standing = async () => {
  const { json } = await stage.call("/v1/node/entries", undefined, await shownBy(node));
  return JSON.stringify(json["items"]);
};

// Skipped elsewhere: only root can play another user, and not with a program below a directory that is closed to it.
describe.runIf(canRunAsNobody)("[NOD-041] a workload of a node that measures configurations", () => {
  it("gets SVIDs while none is approved, and loses them when another one is", async () => {
    const workload = startWorkload();
    expect(await workload.next()).toBe("svid");
    expect(await lastOf("svid.issued")).toMatchObject({
      cause: node.id,
      attestation: "measured",
      detail: { entry, checksum: one },
    });
    const before = await standing();
    await approve(other);
    expect(await workload.next()).toBe(denied);
    expect(await lastOf("svid.refused")).toMatchObject({
      cause: node.id,
      refusal: { code: "not_attested", reason: expect.stringContaining(one) },
    });
    expect(await startWorkload().next()).toBe(denied);
    // A node that did not hear of it finds it there.
    expect(await standing()).not.toBe(before);
  });

  it("has them at once when its own is approved, and loses them when that is withdrawn", async () => {
    await expectApprovalDecides({ approve, withdraw, startWorkload });
  });

  it("[CHK-005] never shares them with one whose configuration is another", async () => {
    const old = startWorkload();
    expect(await old.next()).toBe("svid");
    workloads.deploy(second);
    const young = startWorkload();
    expect(await young.next()).toBe("svid");
    expect(await lastOf("svid.issued")).toMatchObject({ detail: { entry, checksum: other } });
    await withdraw(one);
    expect(await old.next()).toBe(denied);
    await withdraw(other);
    expect(await young.next()).toBe(denied);
  });

  it("[CHK-003] is asked for by the commit: a node that asks for another's, or says nothing, gets none", async () => {
    const shown = await shownBy(node);
    for (const checksum of [undefined, one, "c".repeat(64)]) {
      const asked = { entry, public_key: base64Of(newKeyPair().publicKey), checksum };
      const { json } = await stage.call("/v1/node/x509-svids", { items: [asked] }, shown);
      expect(json).toEqual({ items: [{ entry, refused: "not_attested" }] });
      const jwt = await stage.call("/v1/node/jwt-svids", { entry, audience: ["x"], checksum }, shown);
      expect([jwt.status, jwt.json["code"]]).toEqual([403, "not_attested"]);
    }
    const history = await historyTold();
    expect(history).toContain("refused: its configuration was not measured (is --measure set?)");
    expect(history).toContain(`refused: measured ${one}, which is not approved`);
    await approve(one);
    const jwt = await stage.call("/v1/node/jwt-svids", { entry, audience: ["x"], checksum: one }, shown);
    expect(jwt.status).toBe(200);
    const odd = await stage.call(
      "/v1/node/jwt-svids",
      { entry, audience: ["x"], checksum: "C".repeat(64) },
      shown,
    );
    expect(odd.status).toBe(400);
  });

  it("loses them by what the server tells the node at once: of a withdrawal, whose and which", async () => {
    const identity = (await readIdentity(node.dataDir)) ?? expect.unreachable();
    const trust = { kind: "spiffe", authorities: [] } as const;
    const connection = createServerConnection({ server: stage.mtls, trust, identity: () => identity });
    onTestFinished(connection.close);
    const following = new AbortController();
    const events = connection.events("/v1/node/changes", following.signal);
    expect((await events.next()).value).toMatchObject({ lost: true });
    await withdraw(one);
    const told = { ids: [`${stage.agent.id}.${one}`], bundles: false, lost: false };
    expect((await events.next()).value).toEqual(told);
    following.abort();
  });
});
