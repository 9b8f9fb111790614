import { parseAgentChecksum } from "@countersign/sdk/model/agent-configuration";
import { newId, type OrganizationId } from "@countersign/sdk/model/ids";
import type { Selector } from "@countersign/sdk/model/selector";
import type { SpiffeId } from "@countersign/sdk/model/spiffe-id";
import { describe, expect, it } from "vitest";
import type { Issued } from "../../src/domain/held-svids.ts";
import {
  createSvidHolder,
  type MatchedEntry,
  noneIssued,
  type SvidHolderDeps,
} from "../../src/domain/svid-holder.ts";
import { jwtRatesOnServer } from "../../src/domain/svid-rates.ts";
import type { X509Svid } from "../../src/domain/svid-source.ts";

const random = new Uint8Array(16);

function entry(name: string): MatchedEntry {
  return {
    id: newId(
      "entry",
      1,
      Uint8Array.from({ length: 16 }, (_, place) => name.charCodeAt(place % name.length)),
    ),
    organization: "default" as OrganizationId,
    agent: newId("agent", 1, random),
    spiffeId: `spiffe://example.org/${name}` as SpiffeId,
    x509TtlSeconds: 3600,
    jwtTtlSeconds: 300,
    dnsNames: [],
    hint: undefined,
    federatesWith: [],
    checksum: undefined,
  };
}

function issued({ spiffeId }: MatchedEntry, nowMs: number): Issued<X509Svid> {
  const given = { certificates: [], privateKey: new Uint8Array(), hint: undefined };
  return { svid: { spiffeId, ...given, expiresAtMs: nowMs + 3_600_000 }, restsOn: ["first"] };
}

/** A holder whose clock stands until it is moved, with what it asked for. */
function hold(over: Partial<SvidHolderDeps<MatchedEntry>> = {}) {
  const clock = { nowMs: 0, wake: undefined as { atMs: number; run: () => void } | undefined };
  const entries = new Map<string, MatchedEntry>([["a", entry("a")]]);
  const asked = { x509: [] as string[][], jwt: [] as string[] };
  const holder = createSvidHolder<MatchedEntry>({
    now: () => clock.nowMs,
    match: async (workload) => workload.flatMap((selector) => entries.get(selector) ?? []),
    issueX509: async (wanted) => {
      asked.x509.push(wanted.map(({ spiffeId }) => spiffeId));
      return wanted.map((one) => issued(one, clock.nowMs));
    },
    issueJwt: async ({ spiffeId }, audience) => {
      asked.jwt.push(audience.join(" "));
      const expiresAtMs = clock.nowMs + 300_000;
      return {
        svid: { spiffeId, token: String(asked.jwt.length), hint: undefined, expiresAtMs },
        restsOn: [],
      };
    },
    jwtRates: jwtRatesOnServer,
    isPinned: (to) => to.includes("https://id.example"),
    wakeAt: (atMs, run) => {
      clock.wake = { atMs, run };
      return () => {
        clock.wake = undefined;
      };
    },
    ...over,
  });
  const workload = (...names: string[]) => names as Selector[];
  return { holder, clock, entries, asked, workload };
}

/** The same, of a server that may be away. */
function holdOfServer() {
  const server = { isAway: false };
  const held = hold({
    issueX509: async (wanted) => {
      if (server.isAway) throw new Error("away");
      return wanted.map((one) => issued(one, 0));
    },
  });
  return { ...held, server };
}

const audience = (...names: string[]) => ({ audience: names, spiffeId: undefined, uid: 1000 });

describe("X.509-SVIDs", () => {
  it("[NOD-024] are kept where the next one of an entry was asked for too often, and asked for later", async () => {
    const tooMany = new Set<string>();
    const { holder, clock, entries, workload } = hold({
      issueX509: async (wanted) =>
        wanted.map((one) => (tooMany.has(one.spiffeId) ? undefined : issued(one, clock.nowMs))),
    });
    entries.set("b", entry("b"));
    const ends = async () => (await holder.x509Svids(workload("a", "b"))).map((svid) => svid.expiresAtMs);
    expect(await ends()).toEqual([3_600_000, 3_600_000]);
    tooMany.add(entry("a").spiffeId);
    clock.nowMs = 1_800_000;
    expect(await ends()).toEqual([3_600_000, 5_400_000]);
    tooMany.clear();
    expect(await ends()).toEqual([3_600_000, 5_400_000]);
    clock.nowMs = 2_700_000;
    expect(await ends()).toEqual([6_300_000, 5_400_000]);
    tooMany.add(entry("a").spiffeId);
    clock.nowMs = 6_300_000;
    expect(await ends()).toEqual([9_900_000]);
  });

  it("[SVI-001] are issued once for all who ask at a time, and again when half of their life is over", async () => {
    const { holder, clock, asked, workload } = hold();
    await Promise.all(Array.from({ length: 100 }, () => holder.x509Svids(workload("a"))));
    clock.nowMs = 1_799_999;
    await holder.x509Svids(workload("a"));
    expect(asked.x509).toHaveLength(1);
    clock.nowMs = 1_800_000;
    await holder.x509Svids(workload("a"));
    expect(asked.x509).toHaveLength(2);
  });

  it("[SVI-001] wake who listens when the first is due, and nobody when nobody listens", async () => {
    const { holder, clock, workload } = hold();
    await holder.x509Svids(workload("a"));
    expect(clock.wake).toBeUndefined();
    let told = 0;
    const stop = holder.onChange(() => told++);
    expect(clock.wake?.atMs).toBe(1_800_000);
    clock.nowMs = 1_800_000;
    clock.wake?.run();
    expect(told).toBe(1);
    stop();
    holder.close();
    expect(clock.wake).toBeUndefined();
  });

  it("[SVI-001] are dropped with what made them stale, and asked for anew where that was during their issue", async () => {
    const during: (() => void)[] = [];
    let asked = 0;
    const { holder, workload } = hold({
      issueX509: async (wanted) => {
        during.pop()?.();
        asked++;
        return wanted.map((one) => issued(one, 0));
      },
    });
    await holder.x509Svids(workload("a"));
    holder.drop(new Set(["other"]));
    await holder.x509Svids(workload("a"));
    expect(asked).toBe(1);
    let told = 0;
    holder.onChange(() => told++);
    holder.drop(new Set(["other"]));
    expect(told).toBe(0);
    holder.drop(new Set(["first"]));
    expect(told).toBe(1);
    during.push(() => holder.drop(new Set(["first"])));
    await holder.x509Svids(workload("a"));
    expect([asked, told]).toEqual([2, 2]);
    await holder.x509Svids(workload("a"));
    expect(asked).toBe(3);
    holder.close();
  });

  it("[SVI-001] are issued once, whatever else changes meanwhile", async () => {
    const { holder, clock, asked, workload } = hold({
      issueX509: async (wanted) => {
        asked.x509.push(wanted.map(({ spiffeId }) => spiffeId));
        holder.drop(new Set(["other"]));
        holder.drop(new Set(["another"]));
        return wanted.map((one) => issued(one, clock.nowMs));
      },
      issueJwt: async ({ spiffeId }) => {
        asked.jwt.push(spiffeId);
        holder.drop(new Set(["other"]));
        const svid = { spiffeId, token: "t", hint: undefined, expiresAtMs: 300_000 };
        return { svid, restsOn: ["first"] };
      },
    });
    let told = 0;
    holder.onChange(() => told++);
    for (let turn = 0; turn < 10; turn++) {
      await holder.x509Svids(workload("a"));
      await holder.jwtSvids(workload("a"), audience("x"));
    }
    expect([asked.x509.length, asked.jwt.length, told]).toEqual([1, 1, 0]);
    holder.close();
  });

  it("[SVI-001] that were old when they came are replaced for a listener that asks as soon as it is told", async () => {
    const during: (() => void)[] = [];
    let turn = 0;
    const { holder, workload } = hold({
      issueX509: async (wanted) => {
        during.pop()?.();
        turn++;
        return wanted.map((one) => issued(one, turn));
      },
    });
    const given: Promise<readonly X509Svid[]>[] = [];
    holder.onChange(() => void given.push(holder.x509Svids(workload("a"))));
    during.push(() => holder.drop(new Set(["first"])));
    expect(await holder.x509Svids(workload("a"))).toHaveLength(1);
    await expect.poll(() => given).toHaveLength(1);
    expect(await given[0]).toMatchObject([{ expiresAtMs: 3_600_002 }]);
    await holder.x509Svids(workload("a"));
    expect([turn, given.length]).toEqual([2, 1]);
    holder.close();
  });

  it("[SVI-001] of which one is old when it comes: that one alone is issued again", async () => {
    const during: (() => void)[] = [];
    const { holder, entries, asked, workload } = hold({
      issueX509: async (wanted) => {
        asked.x509.push(wanted.map(({ spiffeId }) => spiffeId));
        during.pop()?.();
        return wanted.map((one) => ({ ...issued(one, 0), restsOn: [one.spiffeId] }));
      },
    });
    entries.set("b", entry("b"));
    during.push(() => holder.drop(new Set(["spiffe://example.org/b"])));
    for (let turn = 0; turn < 3; turn++) await holder.x509Svids(workload("a", "b"));
    expect(asked.x509).toEqual([
      ["spiffe://example.org/a", "spiffe://example.org/b"],
      ["spiffe://example.org/b"],
    ]);
  });

  it("[SVI-002] that could not be renewed are asked for again a little later, for who listens", async () => {
    const { holder, clock, workload, server } = holdOfServer();
    await holder.x509Svids(workload("a"));
    server.isAway = true;
    let told = 0;
    holder.onChange(() => told++);
    clock.nowMs = 1_800_000;
    clock.wake?.run();
    await holder.x509Svids(workload("a"));
    expect(clock.wake?.atMs).toBe(1_805_000);
    clock.nowMs = 3_599_000;
    clock.wake?.run();
    await holder.x509Svids(workload("a"));
    // Not given out beyond its end while it waits for the next try.
    clock.nowMs = 3_600_000;
    await expect(holder.x509Svids(workload("a"))).rejects.toThrow("away");
    expect(told).toBe(2);
    holder.close();
  });

  it("[SVI-002] go on being given out while nothing can be issued, until they end", async () => {
    const { holder, clock, workload, server } = holdOfServer();
    await holder.x509Svids(workload("a"));
    server.isAway = true;
    clock.nowMs = 3_599_999;
    expect(await holder.x509Svids(workload("a"))).toHaveLength(1);
    clock.nowMs = 3_600_000 + 5_000;
    await expect(holder.x509Svids(workload("a"))).rejects.toThrow("away");
  });

  it("[SVI-002] are issued anew where news may have been lost, also of what is under way, and given out while that fails", async () => {
    let fails = false;
    let isStopped = false;
    let tells = 0;
    const [begun, underWay] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const { holder, clock, workload } = hold({
      issueX509: async (wanted) => {
        begun.resolve();
        await underWay.promise;
        if (fails) throw new Error("away");
        return wanted.map((one) => (isStopped ? noneIssued(one) : issued(one, clock.nowMs)));
      },
    });
    holder.onChange(() => tells++);
    const ends = async () => (await holder.x509Svids(workload("a"))).map((svid) => svid.expiresAtMs);
    const first = ends();
    await begun.promise;
    holder.doubt();
    underWay.resolve();
    expect(await first).toEqual([3_600_000]);
    clock.nowMs = 1_000;
    expect(await ends()).toEqual([3_601_000]);
    clock.nowMs = 2_000;
    const before = tells;
    holder.doubt();
    expect(tells).toBeGreaterThan(before);
    fails = true;
    expect(await ends()).toEqual([3_601_000]);
    fails = false;
    isStopped = true;
    clock.nowMs = 10_000;
    expect(await ends()).toEqual([]);
  });

  it("[CHK-005] are never shared by workloads of one entry whose configurations differ", async () => {
    const { holder, entries, asked, workload } = hold({
      issueX509: async (wanted) =>
        wanted.map((one) => ({ ...issued(one, 0), restsOn: [String(one.checksum)] })),
    });
    const [one, other] = ["1", "2"].map((digit) => parseAgentChecksum(digit.repeat(64)));
    entries.set("one", { ...entry("a"), checksum: one });
    entries.set("other", { ...entry("a"), checksum: other });
    const given = async () => {
      const found = await Promise.all(["a", "one", "other"].map((name) => holder.x509Svids(workload(name))));
      return found.map(([svid]) => svid);
    };
    const first = await given();
    expect(new Set(first).size).toBe(3);
    holder.drop(new Set([String(one)]));
    const second = await given();
    expect(second.map((svid, place) => svid === first[place])).toEqual([true, false, true]);
    for (const name of ["a", "one", "other", "one"]) await holder.jwtSvids(workload(name), audience("x"));
    expect(asked.jwt).toHaveLength(3);
  });

  it("[SVI-001] that were refused are not asked for again at once", async () => {
    let asked = 0;
    const { holder, clock, workload } = hold({
      issueX509: async (wanted) => {
        asked++;
        return wanted.map(() => ({ svid: undefined, restsOn: [] }));
      },
    });
    for (let turn = 0; turn < 10; turn++) expect(await holder.x509Svids(workload("a"))).toEqual([]);
    expect(asked).toBe(1);
    clock.nowMs = 5_000;
    await holder.x509Svids(workload("a"));
    expect(asked).toBe(2);
  });
});

describe("JWT-SVIDs", () => {
  it("[SVI-034] that their first use binds to a key are each given to one caller, at the same time and later", async () => {
    const { holder, asked, workload } = hold();
    const ours = audience("https://id.example");
    const fetched = () => holder.jwtSvids(workload("a"), ours);
    const given = [...(await Promise.all([fetched(), fetched()])), await fetched()];
    expect(new Set(given.map(([svid]) => svid?.token)).size).toBe(3);
    expect(asked.jwt).toHaveLength(3);
    expect(holder.held().jwt).toBe(0);
  });

  it("[SVI-035] are newly signed for a user and an entry within bounds, which those of others do not count against", async () => {
    const { holder, clock, entries, asked, workload } = hold();
    entries.set("b", entry("b"));
    const ours = audience("https://id.example");
    const fetched = (name = "a", uid = 1000) => holder.jwtSvids(workload(name), { ...ours, uid });
    const exhausted = { code: "too_many_requests" };
    for (let turn = 0; turn < 5_000; turn++) await fetched();
    await expect(fetched()).rejects.toMatchObject(exhausted);
    await expect(holder.jwtSvids(workload("a"), audience("x"))).rejects.toMatchObject(exhausted);
    expect(asked.jwt).toHaveLength(5_000);
    expect([await fetched("b"), await fetched("a", 1001)].flat()).toHaveLength(2);
    clock.nowMs = 100;
    expect(await fetched()).toHaveLength(1);
    await expect(fetched()).rejects.toMatchObject(exhausted);
  });

  it("[SVI-035] that are held are given out to who may have no new ones", async () => {
    const { holder, workload } = hold();
    await holder.jwtSvids(workload("a"), audience("x"));
    for (let turn = 1; turn < 5_000; turn++)
      await holder.jwtSvids(workload("a"), audience("https://id.example"));
    expect(await holder.jwtSvids(workload("a"), audience("x"))).toHaveLength(1);
  });

  it("[SVI-001] are given out again for the same identity and audience, in whatever order, and for no other", async () => {
    const { holder, clock, asked, workload } = hold();
    await holder.jwtSvids(workload("a"), audience("x", "y"));
    await holder.jwtSvids(workload("a"), audience("y", "x", "y"));
    expect(asked.jwt).toEqual(["x y"]);
    await holder.jwtSvids(workload("a"), audience("x"));
    expect(asked.jwt).toEqual(["x y", "x"]);
    clock.nowMs = 150_000;
    await holder.jwtSvids(workload("a"), audience("x"));
    expect(asked.jwt).toEqual(["x y", "x", "x"]);
  });

  it("[SVI-001] are one for each identity, or the one that was asked for, and none for another's", async () => {
    const { holder, entries, workload } = hold();
    entries.set("b", entry("b"));
    expect(await holder.jwtSvids(workload("a", "b"), audience("x"))).toHaveLength(2);
    const asked = { ...audience("x"), spiffeId: "spiffe://example.org/b" as SpiffeId };
    expect(await holder.jwtSvids(workload("a", "b"), asked)).toMatchObject([{ spiffeId: asked.spiffeId }]);
    expect(await holder.jwtSvids(workload("a"), asked)).toEqual([]);
  });
});
