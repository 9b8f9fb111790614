import { rmSync, writeFileSync } from "node:fs";
import { checksumSelector, parseAgentChecksum } from "@countersign/sdk/model/agent-configuration";
import { describe, expect, it } from "vitest";
import { base64Of } from "../../../src/domain/base64.ts";
import { nodeHealth } from "../../../src/node/node-health.ts";
import { makeAuthority } from "../../svid/pki.ts";
import {
  agentId,
  entryFor,
  foreign,
  openScriptedNode,
  refusal,
  trustDomain,
  unreachable,
  user,
} from "./scripted-node.ts";

const build = [user("build")];
type Opened = ReturnType<typeof openScriptedNode>;
const asked = ({ script }: Opened, path: string) =>
  script.asked.filter((each) => each === `/v1/node/${path}`).length;

async function open() {
  const node = openScriptedNode();
  await expect.poll(() => asked(node, "bundles")).toBe(1);
  return node;
}

describe("[NOD-005] a node that follows its server", () => {
  it("asks for everything when a stream begins, and for what changed when it is told", async () => {
    const node = await open();
    expect(await node.source.x509Svids(build)).toHaveLength(1);
    node.script.entries = [entryFor("build", 3), entryFor("build", 4)];
    node.tell({ ids: [entryFor("build", 4).id], bundles: false, lost: false });
    await expect.poll(() => node.source.x509Svids(build)).toHaveLength(2);
    expect([asked(node, "entries"), asked(node, "bundles")]).toEqual([2, 1]);
  });

  it("gives out nothing of what was stopped, before it has asked for anything", async () => {
    const node = await open();
    await node.source.x509Svids(build);
    node.script.failure = unreachable();
    let told = 0;
    node.source.onChange(() => told++);
    node.tell({ ids: [agentId], bundles: false, lost: false });
    await expect.poll(() => told).toBeGreaterThan(0);
    await expect(node.source.x509Svids(build)).rejects.toMatchObject({ code: "ledger_unavailable" });
  });

  it("[NOD-011] gives no SVID without what signed it, though nobody has told it yet that another authority signs", async () => {
    const node = await open();
    const before = await node.source.x509Svids(build);
    expect(asked(node, "bundles")).toBe(1);
    node.script.authority = makeAuthority(trustDomain);
    node.tell({ ids: [agentId], bundles: false, lost: false });
    await expect.poll(() => node.source.x509Svids(build)).not.toEqual(before);
    const [own] = await node.source.bundles(build);
    expect(own?.x509Authorities.map(base64Of)).toEqual([base64Of(node.script.authority.certificate)]);
    expect(asked(node, "bundles")).toBe(2);
  });

  it("asks for another stream when one ends, a little later, and for everything every half minute", async () => {
    const node = await open();
    node.cut();
    await expect.poll(() => node.script.streams).toBe(0);
    await node.clock.advance(1_499);
    expect(asked(node, "changes")).toBe(1);
    await node.clock.advance(1);
    await expect.poll(() => asked(node, "entries")).toBe(2);
    expect(asked(node, "changes")).toBe(2);
    await node.clock.advance(28_500);
    await expect.poll(() => asked(node, "entries")).toBe(3);
  });

  it("[NOD-006] tells once that its server is away, since when, and that it is back", async () => {
    const node = await open();
    node.script.failure = unreachable();
    await node.clock.advance(10_000);
    node.cut();
    await expect.poll(() => node.script.streams).toBe(0);
    await node.clock.advance(1_500);
    const since = node.clock.now();
    await expect.poll(() => node.standing().serverAwaySinceMs).toBe(since);
    for (const _ of [1, 2, 3]) await node.clock.advance(30_000);
    expect(node.told).toEqual([{ event: "server-away", reason: "refused" }]);
    expect(node.standing()).toMatchObject({ serverAwaySinceMs: since, lastAnswerAtMs: since - 11_500 });
    node.script.failure = undefined;
    await node.clock.advance(30_000);
    await expect.poll(() => node.told.at(-1)).toEqual({ event: "server-back" });
    expect(node.standing().serverAwaySinceMs).toBeUndefined();
  });

  it("[NOD-006] tells by its code what a server refuses that is there, once until it is done", async () => {
    const node = await open();
    const { script, clock } = node;
    script.failingPath = "/v1/node/entries";
    const conflict = { event: "refused", code: "conflict", reason: "it is conflict" };
    const slower = { event: "refused", code: "too_many_requests", reason: "it is too_many_requests" };
    const steps = [
      { failure: refusal("conflict"), told: [conflict] },
      { failure: refusal("conflict"), told: [] },
      { failure: refusal("too_many_requests"), told: [slower] },
      { failure: undefined, told: [] },
      { failure: refusal("conflict"), told: [conflict] },
      { failure: unreachable(), told: [{ event: "server-away", reason: "refused" }] },
      { failure: refusal("too_many_requests"), told: [{ event: "server-back" }, slower] },
      { failure: new Error("the disk is full"), told: [{ event: "failed", reason: "the disk is full" }] },
    ];
    const expected: object[] = [];
    let answered = asked(node, "entries");
    for (const { failure, told } of steps) {
      script.failure = failure;
      await clock.advance(30_000);
      answered++;
      await expect.poll(() => asked(node, "entries")).toBe(answered);
      expected.push(...told);
      await expect.poll(() => node.told).toEqual(expected);
      expect(node.standing().serverAwaySinceMs !== undefined).toBe(told[0]?.event === "server-away");
    }
    expect(nodeHealth(node.standing(), clock.now()).status).toBe("ok");
  });

  it.each([
    {
      what: "the bundles can't be had",
      breaks: ({ script }: Opened) => {
        script.failure = refusal("conflict");
        script.failingPath = "/v1/node/bundles";
      },
      told: { event: "refused", code: "conflict", reason: "it is conflict" },
    },
    {
      what: "nothing can be kept",
      breaks: ({ dataDir }: Opened) => {
        rmSync(dataDir, { recursive: true });
        writeFileSync(dataDir, "");
      },
      told: { event: "failed", reason: expect.stringContaining("EEXIST") },
    },
  ])("hears of stops and entries though $what, and tells of that", async ({ breaks, told }) => {
    const node = await open();
    expect(await node.source.x509Svids(build)).toHaveLength(1);
    breaks(node);
    node.script.foreignUntilMs = node.clock.now() + 1_000;
    const other = { ...entryFor("build", 4), federates_with: [foreign] };
    node.script.entries = [other];
    node.tell({ ids: [other.id], bundles: true, lost: false });
    await expect.poll(() => node.source.x509Svids(build)).toHaveLength(2);
    expect(node.told).toContainEqual(told);
    await node.clock.advance(30_000);
    await expect.poll(() => node.source.x509Svids(build)).toHaveLength(1);
  });

  it("goes by other bundles though they can't be kept", async () => {
    const node = await open();
    rmSync(node.dataDir, { recursive: true });
    writeFileSync(node.dataDir, "");
    node.script.foreignUntilMs = node.clock.now() + 1_000;
    node.script.entries = [{ ...entryFor("build", 4), federates_with: [foreign] }];
    node.tell({ ids: [], bundles: true, lost: true });
    await expect
      .poll(async () => (await node.source.bundles(build)).map(({ trustDomain }) => trustDomain))
      .toEqual(["example.org", foreign]);
  });

  it("[NOD-041] asks by what each workload was measured to be, and gives none what is another's", async () => {
    const node = await open();
    const checksums = ["1", "2"].map((digit) => parseAgentChecksum(digit.repeat(64)) ?? expect.unreachable());
    const workloads = [build, ...checksums.map((checksum) => [...build, checksumSelector(checksum)])];
    const given = await Promise.all(workloads.map((workload) => node.source.x509Svids(workload)));
    expect(new Set(given.map(([svid]) => svid)).size).toBe(3);
    expect(new Set(node.script.checksums)).toEqual(new Set([undefined, ...checksums]));
    node.script.checksums = [];
    const jwt = { audience: ["x"], spiffeId: undefined, uid: 1000 };
    for (const workload of workloads) await node.source.jwtSvids(workload, jwt);
    expect(node.script.checksums).toEqual([undefined, ...checksums]);
  });
});
