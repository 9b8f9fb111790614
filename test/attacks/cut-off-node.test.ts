import { describe, expect, it } from "vitest";
import { readIdentity } from "../../src/node/node-identity.ts";
import { entryFor, foreign, openScriptedNode, unreachable, user } from "../unit/node/scripted-node.ts";

const build = [user("build")];
const minuteMs = 60_000;

/** A node whose workload federates with a trust domain that the server believes for an hour from now. */
async function openFederated() {
  const node = openScriptedNode();
  node.script.entries = [{ ...entryFor("build", 3), federates_with: [foreign] }];
  node.script.foreignUntilMs = node.clock.now() + 60 * minuteMs;
  const known = async () => (await node.source.bundles(build)).map(({ trustDomain }) => trustDomain);
  await expect.poll(known).toEqual(["example.org", foreign]);
  return { ...node, known };
}

describe("[FED-050] a node that is kept from its server", () => {
  it("believes a foreign bundle for as long as it heard, no longer, and tells whoever has it", async () => {
    const node = await openFederated();
    node.script.failure = unreachable();
    await node.clock.advance(60 * minuteMs);
    expect(await node.known()).toEqual(["example.org", foreign]);
    let told = 0;
    node.source.onChange(() => told++);
    await node.clock.advance(1);
    expect(await node.known()).toEqual(["example.org"]);
    expect(told).toBeGreaterThan(0);
  });

  it("keeps until when with the bundle, and believes none of which it does not know", async () => {
    const node = await openFederated();
    const kept = await readIdentity(node.dataDir);
    expect(kept?.bundles.map(({ untilMs }) => untilMs)).toEqual([undefined, node.script.foreignUntilMs]);
    node.script.failure = unreachable();
    const bundles = node.identity.current.bundles.map(({ bundle }) => ({ bundle, untilMs: undefined }));
    node.identity.current = { ...node.identity.current, bundles };
    expect(await node.known()).toEqual(["example.org"]);
  });

  it("believes it longer while the server does, though its bundle stays the same", async () => {
    const node = await openFederated();
    const laterMs = node.clock.now() + 90 * minuteMs;
    node.script.foreignUntilMs = laterMs;
    await node.clock.advance(minuteMs / 2);
    await expect.poll(() => node.identity.current.bundles.at(-1)?.untilMs).toBe(laterMs);
    await node.clock.advance(60 * minuteMs);
    expect(await node.known()).toEqual(["example.org", foreign]);
  });
});
