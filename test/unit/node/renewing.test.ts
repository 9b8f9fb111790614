import { describe, expect, it } from "vitest";
import { base64Of } from "../../../src/domain/base64.ts";
import type { NodeEvent } from "../../../src/node/node-event.ts";
import { readIdentity } from "../../../src/node/node-identity.ts";
import { isStillKnown } from "../../../src/node/own-svid.ts";
import { hourMs } from "../../svid/pki.ts";
import { openScriptedNode, refusal, unreachable, user } from "./scripted-node.ts";

const renewals = ({ script }: ReturnType<typeof openScriptedNode>) =>
  script.asked.filter((path) => path === "/v1/node/renew").length;

describe("[NOD-042] a node's own SVID", () => {
  it("is renewed when half of its life is over, and kept where the node is started from", async () => {
    const node = openScriptedNode();
    const first = node.identity.current;
    await node.clock.advance(hourMs / 2 - 1);
    expect(renewals(node)).toBe(0);
    await node.clock.advance(1);
    await expect
      .poll(() => node.told)
      .toContainEqual({ event: "renewed", expires_at: "2026-01-01T01:30:00.000Z" });
    expect(node.identity.current.privateKey).not.toEqual(first.privateKey);
    const kept = (await readIdentity(node.dataDir)) ?? expect.unreachable();
    expect(base64Of(kept.privateKey)).toBe(base64Of(node.identity.current.privateKey));
    await node.clock.advance(hourMs / 2 - 1);
    expect(renewals(node)).toBe(1);
    await node.clock.advance(1);
    await expect.poll(() => renewals(node)).toBe(2);
  });

  it("is tried again while the server is away, and what is held is given out", async () => {
    const node = openScriptedNode();
    await expect.poll(() => node.source.x509Svids([user("build")])).toHaveLength(1);
    node.script.failure = unreachable();
    await node.clock.advance(hourMs / 2);
    await expect.poll(() => node.standing().renewalsFailed).toBe(1);
    await node.clock.advance(4_999);
    expect(renewals(node)).toBe(1);
    await node.clock.advance(1);
    await expect.poll(() => node.standing().renewalsFailed).toBe(2);
    expect(await node.source.x509Svids([user("build")])).toHaveLength(1);
    node.script.failure = undefined;
    await node.clock.advance(5_000);
    await expect
      .poll(() => node.told.map(({ event }) => event))
      .toEqual(["server-away", "renewed", "server-back"]);
    expect(node.standing().renewalsFailed).toBe(2);
  });

  it("is renewed once for all who find that the present one is accepted no more, and they go on", async () => {
    const node = openScriptedNode();
    await expect.poll(() => node.standing().entries).toBe(1);
    const { script } = node;
    const before = node.identity.current;
    script.failure = refusal("unauthenticated");
    script.failingPath = "/v1/node/jwt-svids";
    const asked = ["x", "y"].map((audience) =>
      node.source.jwtSvids([user("build")], { audience: [audience], spiffeId: undefined, uid: 1000 }),
    );
    const answers = Promise.allSettled(asked);
    const unavailable = { status: "rejected", reason: { code: "ledger_unavailable" } };
    await expect.poll(() => node.identity.current).not.toBe(before);
    // A refusal of the node says nothing of its workloads.
    expect(await answers).toMatchObject([unavailable, unavailable]);
    expect(renewals(node)).toBe(1);
    expect(script.asked.filter((path) => path === "/v1/node/jwt-svids")).toHaveLength(4);
  });

  it("is still known where the server takes it, or merely fails, and not where it refuses it once renewed too", async () => {
    const node = openScriptedNode();
    await expect.poll(() => node.standing().entries).toBe(1);
    const { script, connection, dataDir, clock, told } = node;
    const identity = { current: node.identity.current };
    const onEvent = (event: NodeEvent) => told.push(event);
    const isKnown = () => isStillKnown({ connection, dataDir, identity, now: clock.now, onEvent });
    expect(await isKnown()).toBe(true);
    script.failure = unreachable();
    expect(await isKnown()).toBe(true);
    script.failure = refusal("not_attested");
    expect(await isKnown()).toBe(false);
    script.failure = refusal("unauthenticated");
    expect(await isKnown()).toBe(false);
    expect(renewals(node)).toBe(1);
    expect(identity.current).toBe(node.identity.current);
    script.failingPath = "/v1/node/bundles";
    expect(await isKnown()).toBe(false);
    expect(identity.current).not.toBe(node.identity.current);
  });
});
