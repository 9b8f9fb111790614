import { parseId } from "@countersign/sdk/model/ids";
import type { Selector } from "@countersign/sdk/model/selector";
import { describe, expect, it } from "vitest";
import { DomainError } from "../../src/domain/domain-error.ts";
import { createNodeLimits } from "../../src/domain/node-limits.ts";
import {
  boundsJwtSvids,
  callerOf,
  jwtRatesOnNode,
  jwtRatesOnServer,
  nodeRates,
} from "../../src/domain/svid-rates.ts";

describe("a node", () => {
  it("[NOD-092] has X.509-SVIDs though it asks for JWT-SVIDs too often, and bounds those below what its server does", () => {
    const { admitSvid } = createNodeLimits(() => 0);
    const node = parseId("node", "nod_00000000000000000000000001") ?? expect.unreachable();
    const entry = parseId("entry", `ent_${"1".padStart(26, "0")}`) ?? expect.unreachable();
    const refused = expect.objectContaining({ code: "too_many_requests" });
    const { admit } = boundsJwtSvids(jwtRatesOnNode, () => 0);
    // However many ask at the node, its server is never asked for too much.
    for (let caller = 0; caller < 100; caller++) {
      for (let times = 0; times < 100; times++) {
        try {
          admit(entry, `${caller}`);
        } catch (error) {
          expect(error).toEqual(refused);
          break;
        }
        admitSvid(node, "jwt", entry);
      }
    }
    for (const of of ["burst", "perSecond"] as const) {
      expect(jwtRatesOnNode.ofEntry[of]).toBeLessThan(nodeRates.ofEntry[of]);
      expect(jwtRatesOnNode.ofEntryInADay[of]).toBeLessThan(nodeRates.ofEntryInADay[of]);
      expect(jwtRatesOnNode.ofAll[of]).toBeLessThan(nodeRates.ofNode[of]);
    }
    for (let times = 0; times < 20; times++) admitSvid(node, "jwt", entry);
    expect(() => admitSvid(node, "jwt", entry)).toThrow(refused);
    admitSvid(node, "x509", entry);
  });

  it("[NOD-092] has JWT-SVIDs for a caller, though another user or container of its entry asks too often", () => {
    const { admit } = boundsJwtSvids(jwtRatesOnNode, () => 0);
    const entry = parseId("entry", `ent_${"1".padStart(26, "0")}`) ?? expect.unreachable();
    const pod = (uid: string) => [`k8s:pod-uid:${uid}`, "k8s:ns:x"] as Selector[];
    const refused = expect.objectContaining({ code: "too_many_requests" });
    for (let times = 0; times < jwtRatesOnNode.ofCaller.burst; times++) admit(entry, callerOf(1, pod("a")));
    expect(() => admit(entry, callerOf(1, pod("a")))).toThrow(refused);
    for (const other of [callerOf(1, pod("b")), callerOf(2, pod("a")), callerOf(1, [])]) admit(entry, other);
  });
});

describe("[SVI-050] an entry", () => {
  const entryOf = (digit: string) =>
    parseId("entry", `ent_${digit.padStart(26, "0")}`) ?? expect.unreachable();
  const [entry, other] = [entryOf("1"), entryOf("2")];
  const node = parseId("node", "nod_00000000000000000000000001") ?? expect.unreachable();
  const dayMs = 24 * 3_600_000;

  /** How many are had by who asks at each minute of a day until it is refused. */
  function hadInADay(ask: (nowMs: number) => void): number {
    let had = 0;
    for (let nowMs = 0; nowMs < dayMs; nowMs += 60_000) {
      try {
        for (;;) {
          ask(nowMs);
          had++;
        }
      } catch (error) {
        if (!(error instanceof DomainError) || error.code !== "too_many_requests") throw error;
      }
    }
    return had;
  }

  it.each([
    ["the server", jwtRatesOnServer, 100_000],
    ["a node", jwtRatesOnNode, 90_000],
  ])("has no more JWT-SVIDs in a day at %s, and half of that for one caller", (_, rates, max) => {
    const clock = { nowMs: 0 };
    const bounds = boundsJwtSvids(rates, () => clock.nowMs);
    let turn = 0;
    const asking = (callers: number) => (nowMs: number) => {
      clock.nowMs = nowMs;
      bounds.admit(callers === 1 ? other : entry, `caller ${turn++ % callers}`);
    };
    const ofAll = hadInADay(asking(8));
    expect(ofAll).toBeLessThanOrEqual(max);
    expect(ofAll).toBeGreaterThan(max * 0.9);
    expect(hadInADay(asking(1))).toBeLessThanOrEqual(max / 2);
  });

  it("has no more JWT-SVIDs in a day by a node that keeps to no bounds", () => {
    const clock = { nowMs: 0 };
    const { admitSvid } = createNodeLimits(() => clock.nowMs);
    const had = hadInADay((nowMs) => {
      clock.nowMs = nowMs;
      admitSvid(node, "jwt", entry);
    });
    expect(had).toBeLessThanOrEqual(100_000);
  });

  it("of which a day's JWT-SVIDs were had is told of for a day, and its other callers have theirs", () => {
    const clock = { nowMs: 0 };
    const { admit, overdrawn } = boundsJwtSvids(jwtRatesOnServer, () => clock.nowMs);
    admit(other, "one");
    const refused = () => admit(entry, "one");
    for (let had = 0; had < 25_000; had++) {
      clock.nowMs += 100;
      refused();
    }
    expect(overdrawn()).toEqual([]);
    for (;;) {
      clock.nowMs += 100;
      try {
        refused();
      } catch (error) {
        expect(error).toMatchObject({ message: expect.stringContaining("in a day: use the ones you have") });
        break;
      }
    }
    expect(overdrawn()).toEqual([{ entry, lastAtMs: clock.nowMs }]);
    admit(entry, "another");
    clock.nowMs += dayMs;
    expect(overdrawn()).toEqual([]);
  });
});
