import { describe, expect, it } from "vitest";
import { nodeHealth } from "../../../src/node/node-health.ts";
import { hourMs } from "../../svid/pki.ts";
import { openScriptedNode, refusal, unreachable, user } from "./scripted-node.ts";

const build = [user("build")];

async function openHolding() {
  const node = openScriptedNode();
  await expect.poll(() => node.source.x509Svids(build)).toHaveLength(1);
  return node;
}

const health = (node: ReturnType<typeof openScriptedNode>) => nodeHealth(node.standing(), node.clock.now());

describe("[NOD-042] a node", () => {
  it("ends when its server says that it is none, and serves and asks nothing from then on", async () => {
    const node = await openHolding();
    let told = 0;
    node.source.onChange(() => told++);
    node.script.failure = refusal("not_attested");
    await node.clock.advance(30_000);
    await expect.poll(() => node.told).toEqual([{ event: "ended", reason: "it is not_attested" }]);
    expect(told).toBeGreaterThan(0);
    expect(await node.source.x509Svids(build)).toEqual([]);
    await expect.poll(() => node.script.streams).toBe(0);
    const asked = node.script.asked.length;
    node.script.failure = undefined;
    await node.clock.advance(hourMs);
    expect(node.script.asked).toHaveLength(asked);
    expect(node.told).toHaveLength(1);
    expect(health(node).status).toBe("unready");
  });

  it("ends when it may not even renew, and not before that was tried", async () => {
    const node = await openHolding();
    node.script.failure = refusal("unauthenticated");
    node.script.failingPath = "/v1/node/entries";
    await node.clock.advance(30_000);
    await expect.poll(() => node.told.map(({ event }) => event)).toContain("renewed");
    node.script.failingPath = undefined;
    await node.clock.advance(30_000);
    await expect.poll(() => node.told.at(-1)).toMatchObject({ event: "ended" });
  });

  it("does not end for what merely fails, however long: it gives out what it holds, until that ends", async () => {
    const node = await openHolding();
    node.script.failure = unreachable();
    await node.clock.advance(30_000);
    await expect
      .poll(() => health(node))
      .toMatchObject({
        status: "degraded",
        checks: [
          { reason: "serving from memory since 2026-01-01T00:00:30.000Z" },
          { ok: true },
          { ok: true },
        ],
      });
    await node.clock.advance(hourMs - 30_001);
    expect(await node.source.x509Svids(build)).toHaveLength(1);
    expect(health(node).status).toBe("degraded");
    await node.clock.advance(1);
    expect(health(node)).toMatchObject({
      status: "unready",
      checks: [{ ok: false }, { name: "svid", ok: false }, {}],
    });
    await node.clock.advance(5_000);
    await expect(node.source.x509Svids(build)).rejects.toMatchObject({ code: "ledger_unavailable" });
    expect(node.told.map(({ event }) => event)).toEqual(["server-away"]);
  });
});

describe("[NOD-040] the health of a node", () => {
  it("is not ready before it has joined, nor before it knows its entries", async () => {
    expect(nodeHealth(undefined, 0).status).toBe("unready");
    const node = openScriptedNode();
    expect(health(node)).toMatchObject({
      status: "unready",
      checks: [{}, {}, { name: "entries", ok: false }],
    });
    await expect.poll(() => health(node).status).toBe("ok");
  });

  it("is ready without an entry while the server is there, and not while it is away", async () => {
    const node = openScriptedNode();
    node.script.entries = [];
    await expect.poll(() => node.standing().entries).toBe(0);
    expect(health(node).status).toBe("ok");
    node.script.failure = unreachable();
    await node.clock.advance(30_000);
    await expect
      .poll(() => health(node))
      .toMatchObject({
        status: "unready",
        checks: [{ name: "server", reason: "it does not answer since 2026-01-01T00:00:30.000Z" }, {}, {}],
      });
  });

  it("counts the callers that were not attested", async () => {
    const node = openScriptedNode();
    const peer = { pid: 1, gid: 1, isAlive: () => true };
    await node.source.attest({ ...peer, uid: 1 });
    await expect(node.source.attest({ ...peer, uid: 0 })).rejects.toMatchObject({ code: "not_attested" });
    expect(node.standing().attestationsRefused).toBe(1);
  });
});
