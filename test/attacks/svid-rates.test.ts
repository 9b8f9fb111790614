import { parseId } from "@countersign/sdk/model/ids";
import type { Selector } from "@countersign/sdk/model/selector";
import { describe, expect, it } from "vitest";
import { createNodeLimits } from "../../src/domain/node-limits.ts";
import { boundsJwtSvids, callerOf, jwtRatesOnNode, nodeRates } from "../../src/domain/svid-rates.ts";

describe("a node", () => {
  it("[NOD-092] has X.509-SVIDs though it asks for JWT-SVIDs too often, and bounds those below what its server does", () => {
    const { admitSvid } = createNodeLimits(() => 0);
    const node = parseId("node", "nod_00000000000000000000000001") ?? expect.unreachable();
    const entry = parseId("entry", `ent_${"1".padStart(26, "0")}`) ?? expect.unreachable();
    const refused = expect.objectContaining({ code: "too_many_requests" });
    const admit = boundsJwtSvids(jwtRatesOnNode, () => 0);
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
      expect(jwtRatesOnNode.ofAll[of]).toBeLessThan(nodeRates.ofNode[of]);
    }
    for (let times = 0; times < 20; times++) admitSvid(node, "jwt", entry);
    expect(() => admitSvid(node, "jwt", entry)).toThrow(refused);
    admitSvid(node, "x509", entry);
  });

  it("[NOD-092] has JWT-SVIDs for a caller, though another user or container of its entry asks too often", () => {
    const admit = boundsJwtSvids(jwtRatesOnNode, () => 0);
    const entry = parseId("entry", `ent_${"1".padStart(26, "0")}`) ?? expect.unreachable();
    const pod = (uid: string) => [`k8s:pod-uid:${uid}`, "k8s:ns:x"] as Selector[];
    const refused = expect.objectContaining({ code: "too_many_requests" });
    for (let times = 0; times < jwtRatesOnNode.ofCaller.burst; times++) admit(entry, callerOf(1, pod("a")));
    expect(() => admit(entry, callerOf(1, pod("a")))).toThrow(refused);
    for (const other of [callerOf(1, pod("b")), callerOf(2, pod("a")), callerOf(1, [])]) admit(entry, other);
  });
});
