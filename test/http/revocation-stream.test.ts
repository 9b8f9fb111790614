import { connect, type Socket } from "node:net";
import { readServerSentEvents, type ServerSentEvent } from "@countersign/sdk/client/server-sent-events";
import { type AgentId, logOf, type OrganizationId } from "@countersign/sdk/model/ids";
import { afterEach, describe, expect, it } from "vitest";
import type { ReachedDelegation, Revocation } from "../../src/domain/revocation.ts";
import { createRevocationFeed } from "../../src/followers/revocations/revocation-feed.ts";
import { createStreams, type StreamLimits } from "../../src/http/streams.ts";
import { type FaceOptions, openFace } from "./face.ts";

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
const organization = "default" as OrganizationId;

/** A face with the revocations of a list, whose checkpoint a test moves. */
async function openStream(limits: Partial<StreamLimits> = {}, deps: FaceOptions["deps"] = {}) {
  const log: Revocation[] = [];
  const reads = { revocations: 0, reach: 0 };
  const reached = new Map<string, number>();
  let size = 10;
  const feed = createRevocationFeed({
    publishedSize: async () => size,
    listRevocations: async (of, { after, limit }) => {
      reads.revocations++;
      const covered = log.filter(
        ({ index, ...one }) => one.organization === of && index > after && index < size,
      );
      return covered.slice(0, limit);
    },
    listStoppedAgents: async ({ kind, id }, { after }) =>
      kind === "agent" && after === undefined ? [id as AgentId] : [],
    listReach: async ({ id }, { after, limit }) => {
      reads.reach++;
      const from = after === undefined ? 0 : Number(after.id.slice(-6)) + 1;
      const ids = Array.from({ length: Math.min(limit, (reached.get(id) ?? 0) - from) }, (_, i) => from + i);
      return ids.map((i) => ({ id: `${id}_${String(i).padStart(6, "0")}` }) as ReachedDelegation);
    },
  });
  const streams = createStreams(limits);
  const face = await openFace({ deps: { feed, streams, ...deps } });
  closing.push(async () => {
    await streams.close();
    await face.close();
  });
  const open = async (headers: Record<string, string> = {}, lifetimeSeconds = 300) => {
    const caller = await face.callerWith("revocations", "operator", lifetimeSeconds);
    const leaving = new AbortController();
    const response = await fetch(`${face.issuer}/v1/revocations`, {
      headers: {
        ...(await caller.headersFor("GET", "/v1/revocations")),
        accept: "text/event-stream",
        ...headers,
      },
      signal: leaving.signal,
    });
    closing.push(async () => leaving.abort());
    return { response, leave: () => leaving.abort(), events: eventsOf(response) };
  };
  return {
    face,
    streams,
    reads,
    open,
    /** Records that something was revoked, and what it reached. */
    revoke: (index: number, kind: Revocation["kind"], id: string, reach = 0, of = organization) => {
      log.push({ organization: of, kind, id, index, revokedAtMs: 0 });
      reached.set(id, reach);
    },
    publish: (to: number) => {
      size = to;
      feed.wake(logOf(organization));
    },
  };
}
type Stream = Awaited<ReturnType<Awaited<ReturnType<typeof openStream>>["open"]>>;

function eventsOf({ body }: Response): AsyncGenerator<ServerSentEvent, void> {
  if (body === null) throw new Error("the answer has no body");
  return readServerSentEvents(body);
}

async function next({ events }: Stream) {
  const { value, done } = await events.next();
  if (done || value === undefined) return undefined;
  return { name: value.name, at: value.lastEventId, ...JSON.parse(value.data) };
}

describe("a stream of revocations", () => {
  it("[REV-005] begins now, tells what a checkpoint covers and nothing before it does", async () => {
    const { open, revoke, publish } = await openStream();
    revoke(5, "agent", "agt_before");
    const stream = await open();
    expect(stream.response.headers.get("content-type")).toBe("text/event-stream");
    expect(await next(stream)).toEqual({ name: "start", at: "9", after: 9 });
    revoke(10, "agent", "agt_1");
    revoke(12, "delegation", "dlg_1", 2);
    publish(12);
    expect(await next(stream)).toMatchObject({
      name: "revocation",
      at: "10",
      index: 10,
      kind: "agent",
      agents: ["agt_1"],
      part: 1,
      last: true,
    });
    const waiting = next(stream);
    publish(13);
    expect(await waiting).toMatchObject({
      at: "12",
      delegations: ["dlg_1_000000", "dlg_1_000001"],
      agents: [],
    });
  });

  it("[REV-005] resumes after the last id, and tells a revocation in parts of which only the last bears one", async () => {
    const { open, revoke, publish } = await openStream();
    revoke(3, "token", "tok_3");
    revoke(7, "delegation", "dlg_7", 1200);
    publish(8);
    const stream = await open({ "last-event-id": "2" });
    expect(await next(stream)).toMatchObject({ name: "start", at: "2" });
    expect(await next(stream)).toMatchObject({ at: "3", kind: "token", id: "tok_3" });
    const parts = [await next(stream), await next(stream), await next(stream)];
    expect(parts.map((part) => [part?.at, part?.index, part?.part, part?.last])).toEqual([
      ["3", 7, 1, false],
      ["3", 7, 2, false],
      ["7", 7, 3, true],
    ]);
    const told = parts.flatMap((part) => part?.delegations ?? []);
    expect(new Set(told).size).toBe(1200);
  });

  it.each(["10", "99999999999999", "-1", "1e3", "01", "x", " ", "9007199254740993"])(
    "[REV-005] refuses to resume after %j, which no stream gave",
    async (lastEventId) => {
      const { open } = await openStream();
      const { response } = await open({ "last-event-id": lastEventId });
      expect([response.status, await response.json()]).toMatchObject([400, { code: "invalid_request" }]);
    },
  );

  it("[ORG-001] tells none of another organization, wherever it resumes", async () => {
    const { open, revoke, publish } = await openStream();
    revoke(7, "agent", "agt_theirs", 0, "another" as OrganizationId);
    revoke(8, "agent", "agt_ours");
    const stream = await open({ "last-event-id": "6" });
    await next(stream);
    expect(await next(stream)).toMatchObject({ id: "agt_ours" });
    revoke(11, "agent", "agt_theirs", 0, "another" as OrganizationId);
    revoke(12, "token", "tok_ours");
    publish(13);
    expect(await next(stream)).toMatchObject({ id: "tok_ours" });
  });

  it("[REV-005] shares its reading with every other at the same place", async () => {
    const { open, revoke, publish, reads } = await openStream({ perCallerMax: 50 });
    const opened = await Promise.all(Array.from({ length: 20 }, () => open()));
    for (const stream of opened) await next(stream);
    const before = { ...reads };
    revoke(10, "delegation", "dlg_1", 700);
    publish(11);
    for (const stream of opened) {
      expect(await next(stream)).toMatchObject({ part: 1 });
      expect(await next(stream)).toMatchObject({ part: 2, last: true });
    }
    expect(reads.reach - before.reach).toBe(2);
    // The new one, and that there is no other.
    expect(reads.revocations - before.revocations).toBeLessThanOrEqual(2);
  });

  it("is JSON for who does not ask for events", async () => {
    const listRevocations = async () => [
      { organization, kind: "token", id: "tok_1", index: 4, revokedAtMs: 0 } as const,
    ];
    const face = await openFace({ records: { listRevocations } });
    closing.push(() => face.close());
    const answer = await (await face.callerWith("revocations")).send("GET", "/v1/revocations?limit=1");
    expect(await answer.json()).toEqual({
      items: [{ index: 4, kind: "token", id: "tok_1", revoked_at: "1970-01-01T00:00:00.000Z" }],
      next: "4",
    });
  });
});

describe("a stream ends", () => {
  it("[REV-006] with the token of its caller, and says so", async () => {
    const { open } = await openStream();
    const stream = await open({}, 1);
    await next(stream);
    expect(await next(stream)).toEqual({ name: "end", at: "9", reason: "expired" });
    expect(await next(stream)).toBeUndefined();
  });

  it("[REV-006] when its caller is revoked itself", async () => {
    let live = true;
    const { open } = await openStream({ commentEveryMs: 5 }, { isLive: async () => live });
    const stream = await open();
    await next(stream);
    live = false;
    expect(await next(stream)).toMatchObject({ name: "end", reason: "not_live" });
  });

  it("[REV-006] when nobody can say whether its caller is still good", async () => {
    let asked = 0;
    const isLive = async () => {
      if (asked++ === 0) return true;
      throw new Error("the database is gone");
    };
    const { open } = await openStream({ commentEveryMs: 5 }, { isLive });
    const stream = await open();
    await next(stream);
    await expect(next(stream)).rejects.toThrow();
  });

  it("[REV-006] when the server stops, and none is opened after that", async () => {
    const { open, streams } = await openStream();
    const stream = await open();
    await next(stream);
    await streams.close();
    expect(await next(stream)).toMatchObject({ name: "end", reason: "stopping" });
    expect((await open()).response.status).toBe(503);
  });
});

describe("whoever takes more than their due", () => {
  it("[REV-006] gets no place beyond their own, nor beyond all, and gets one again when one is left", async () => {
    const { open, face } = await openStream({ perCallerMax: 2, max: 2 });
    const first = await open();
    await next(first);
    await next(await open());
    const { response } = await open();
    expect(response.status).toBe(429);
    expect(response.headers.get("retry-after")).toBe("2");
    expect(await response.json()).toMatchObject({ code: "too_many_requests" });
    first.leave();
    await expect.poll(async () => (await open()).response.status).toBe(200);
    expect(face.logged.join("")).not.toContain('"level":50');
  });

  it("[REV-006] and does not read is cut, with no more kept for them than one event", async () => {
    const { face, revoke, publish, streams, reads } = await openStream({ drainTimeoutMs: 50, max: 1 });
    revoke(3, "delegation", `dlg_${"x".repeat(100)}`, 200_000);
    publish(8);
    const caller = await face.callerWith("revocations");
    const headers = { ...(await caller.headersFor("GET", "/v1/revocations")), "last-event-id": "2" };
    const socket = await requestUnread(face.issuer, headers);
    const cut = new Promise((resolve) => socket.once("close", resolve));
    const place = () => {
      try {
        streams.enter("another").leave();
        return "free";
      } catch {
        return "taken";
      }
    };
    await expect.poll(place).toBe("taken");
    await expect.poll(place, { timeout: 20_000 }).toBe("free");
    expect(reads.reach).toBeLessThan(400);
    socket.resume();
    await cut;
  });
});

/** A connection that has asked for the stream and reads nothing of it. */
async function requestUnread(issuer: string, headers: Record<string, string>): Promise<Socket> {
  const { hostname, port, host } = new URL(issuer);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.on("error", () => undefined);
  socket.pause();
  const lines = Object.entries({ host, accept: "text/event-stream", ...headers });
  socket.write(
    `GET /v1/revocations HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`,
  );
  closing.push(async () => void socket.destroy());
  return socket;
}
