import { randomUUID, X509Certificate } from "node:crypto";
import type { NodeEvidence } from "@countersign/sdk/contract/node-face";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Node } from "../../src/domain/node.ts";
import { keepAuthorities } from "../../src/journeys/keys/authorities.ts";
import { createKeys } from "../../src/journeys/keys/create.ts";
import { attestNode } from "../../src/journeys/node/attest.ts";
import { authenticateNode } from "../../src/journeys/node/authenticate.ts";
import { createJoinToken } from "../../src/journeys/node/create-join-token.ts";
import { evictNode } from "../../src/journeys/node/evict.ts";
import { readmitNode } from "../../src/journeys/node/readmit.ts";
import { renewNode } from "../../src/journeys/node/renew.ts";
import { type KeyRing, openKeyRing } from "../../src/keys/key-ring.ts";
import { findJoinToken, findNodeOf, findNodeSvid, listNodeSvids } from "../../src/store/nodes.ts";
import { createReplayMemory, replayKey } from "../../src/store/replay.ts";
import { createJoinTokenAttestor } from "../../src/svid/attest/node/join-token.ts";
import { createK8sPsatAttestor } from "../../src/svid/attest/node/k8s-psat.ts";
import { newKeyPair } from "../../src/svid/key-pair.ts";
import { createSignatureVerifier } from "../../src/svid/verify-signature.ts";
import { clusterKey, pinnedCluster, projectedToken } from "../k8s-api-server.ts";
import { type Doing, type KeyedChange, openCrashes } from "./crashing.ts";
import { context, must, organization, trustDomain } from "./server-process.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
let ring: KeyRing;
const by = { kind: "system", id: "test" } as const;
const verifySignature = createSignatureVerifier();

beforeAll(async () => {
  world = await openWorld();
  const { db, deps } = world;
  const onReloadFailed = () => undefined;
  ring = await openKeyRing({ db, sealer: deps.sealer, trustDomain, now: deps.now, onReloadFailed });
  const reloadKeys = ring.reload;
  await createKeys({ ...deps, reloadKeys }, { logs: [], by });
  await keepAuthorities({ ...deps, reloadKeys, upstream: undefined, verifySignature }, by);
});
afterAll(async () => {
  await ring.close();
  await world.close();
});

const apiServer = clusterKey();
const cluster = pinnedCluster(apiServer);

function depsOf() {
  const { db, deps } = world;
  const attestor = createJoinTokenAttestor({
    now: deps.now,
    findJoinToken: (hash) => findJoinToken(db, hash),
  });
  const { useUp } = createReplayMemory({ db, now: deps.now });
  const ofPods = createK8sPsatAttestor({
    now: deps.now,
    useUp: (value, expiresAt) => useUp(replayKey("v1", "k8s_psat", value), expiresAt),
    clusters: [cluster],
    organization,
  });
  return {
    ...deps,
    x509Authority: () => ring.x509Authorities().active,
    reloadKeys: ring.reload,
    trustBundle: ring.trustBundle,
    svidBundle: ring.svidBundle,
    verifySignature,
    admitRenewal: () => undefined,
    countFailure: () => undefined,
    oneFor: (_: string, work: () => Promise<void>) => work(),
    noteSpentShown: async () => undefined,
    attestMachine: (
      ...[evidence, publicKey]: Parameters<Parameters<typeof attestNode>[0]["attestMachine"]>
    ) => {
      if (evidence.kind === "join_token") return attestor.attest(evidence, publicKey);
      return evidence.kind === "k8s_psat" ? ofPods.attest(evidence, publicKey) : expect.unreachable();
    },
    findNodeOf: (...given: Parameters<Parameters<typeof attestNode>[0]["findNodeOf"]>) =>
      findNodeOf(db, ...given),
    findNodeSvid: (node: Node, publicKeyHash: string) => findNodeSvid(db, node, publicKeyHash),
    listNodeSvids: (node: Node) => listNodeSvids(db, node),
  };
}
type Deps = ReturnType<typeof depsOf>;

/** A token for a new node, or for one that there is. */
async function joinToken(node?: Node["id"]): Promise<string> {
  const request = { caller: world.operator, name: undefined, node, lifetimeSeconds: 60, context };
  return (await createJoinToken(depsOf(), request)).token;
}
const attest = (deps: Deps, evidence: NodeEvidence) =>
  attestNode(deps, { evidence, publicKey: newKeyPair().publicKey, context });
const join = (deps: Deps, token: string) => attest(deps, { kind: "join_token", token });
/** The token of a pod on a machine that is no node yet. */
const podToken = () =>
  projectedToken(cluster.issuer, apiServer, {
    nowMs: world.clock.nowMs,
    bound: { node: { name: "worker", uid: randomUUID() } },
  });
type Svid = Awaited<ReturnType<typeof renewNode>>;
const show = (deps: Deps, { certificates: [leaf] }: Svid) =>
  authenticateNode(deps, new X509Certificate(must(leaf)), context, "serving");
async function renewBy(deps: Deps, held: Svid): Promise<Svid> {
  const publicKey = newKeyPair().publicKey;
  return renewNode(deps, { ...(await show(deps, held)), publicKey, context });
}
const codeOf = (doing: Promise<unknown>) =>
  doing.then(
    () => "done",
    ({ code }) => code,
  );

async function aNode() {
  const { node, svid } = await join(depsOf(), await joinToken());
  return { node, svid };
}
const svidsOf = ({ id }: Node) =>
  world.db.prisma.nodeSvid.findMany({ where: { nodeId: id }, select: { id: true, status: true } });
const statusOf = async ({ id }: Node) =>
  (await world.db.prisma.node.findUniqueOrThrow({ where: { id } })).status;

const doings: Readonly<Record<string, () => Promise<Doing<Deps>>>> = {
  "[NOD-004] attest a new node": async () => {
    const token = await joinToken();
    const nodes = async () => (await world.db.prisma.node.findMany()).map(({ id }) => id as Node["id"]);
    const before = await nodes();
    return {
      types: ["node.attested"],
      make: (deps) => join(deps, token),
      rows: nodes,
      async next(done) {
        const again = join(depsOf(), token);
        if (done === 0) await again;
        else await expect(again).rejects.toThrow("the join token is unknown, used or over");
        const [one, ...others] = (await nodes()).filter((id) => !before.includes(id));
        expect(others).toEqual([]);
        // Where what was certified did not arrive, an operator lets the machine be that node once more.
        const { node, svid } = await join(depsOf(), await joinToken(must(one)));
        expect((await svidsOf(node)).filter(({ status }) => status !== "spent")).toHaveLength(1);
        expect((await show(depsOf(), svid)).node.id).toBe(one);
      },
    };
  },
  "[NOD-061] [FLT-020] attest a pod's machine": async () => {
    const evidence = { kind: "k8s_psat", token: podToken() } as const;
    return {
      types: ["node.attested"],
      make: (deps) => attest(deps, evidence),
      rows: () => world.db.prisma.node.count(),
      async next(done) {
        expect(await codeOf(attest(depsOf(), evidence))).toBe(done === 0 ? "done" : "not_attested");
        expect(await codeOf(attest(depsOf(), evidence))).toBe("not_attested");
      },
    };
  },
  "[NOD-009] attest a node again": async () => {
    const { node, svid } = await aNode();
    world.clock.nowMs += 1;
    const token = await joinToken(node.id);
    return {
      types: ["node.attested"],
      make: (deps) => join(deps, token),
      rows: () => svidsOf(node),
      async next(done) {
        // What it had is good until the one that follows it is committed.
        expect(await codeOf(show(depsOf(), svid))).toBe(done === 0 ? "done" : "not_attested");
        expect(await codeOf(join(depsOf(), token))).toBe(done === 0 ? "done" : "not_attested");
        expect((await svidsOf(node)).map(({ status }) => status).sort()).toEqual(["spent", "used"]);
      },
    };
  },
  "[NOD-009] renew a node's SVID": async () => {
    const { node, svid } = await aNode();
    return {
      types: ["svid.issued"],
      make: (deps) => renewBy(deps, svid),
      rows: () => svidsOf(node),
      async next(done) {
        // It did not arrive: by the one that is held another is asked for, twice, of which the last is good.
        const lost = await renewBy(depsOf(), svid);
        const held = await renewBy(depsOf(), svid);
        expect(await svidsOf(node)).toHaveLength(done + 3);
        expect(await codeOf(renewBy(depsOf(), lost))).toBe("not_attested");
        await renewBy(depsOf(), held);
        expect(await codeOf(renewBy(depsOf(), svid))).toBe("not_attested");
        const standing = (await svidsOf(node)).filter(({ status }) => status !== "spent");
        expect(standing.map(({ status }) => status).sort()).toEqual(["unused", "used"]);
      },
    };
  },
  ...firstUses(),
};

/** The first use of the next SVID, after which either of the two is shown first. */
function firstUses(): Readonly<Record<string, () => Promise<Doing<Deps>>>> {
  const ready = async (first: "former" | "next"): Promise<Doing<Deps>> => {
    const { node, svid: former } = await aNode();
    const next = await renewBy(depsOf(), former);
    return {
      types: ["node.renewed"],
      make: (deps) => show(deps, next),
      rows: () => svidsOf(node),
      async next(done) {
        const formerIsGood = first === "former" && done === 0;
        if (formerIsGood) {
          const later = await renewBy(depsOf(), former);
          expect(await codeOf(renewBy(depsOf(), next))).toBe("not_attested");
          await renewBy(depsOf(), later);
        } else {
          if (first === "former") expect(await codeOf(renewBy(depsOf(), former))).toBe("not_attested");
          await renewBy(depsOf(), next);
        }
        expect(await codeOf(show(depsOf(), former))).toBe("not_attested");
      },
    };
  };
  return {
    "[NOD-009] see a renewed SVID, the next of which renews,": () => ready("next"),
    "[NOD-009] see a renewed SVID, the former of which renews,": () => ready("former"),
  };
}

const keyed: Readonly<Record<string, () => Promise<KeyedChange<Deps>>>> = {
  "make a join token": async () => ({
    caller: world.operator,
    types: ["join_token.created"],
    make: (deps, by) =>
      createJoinToken(deps, {
        caller: world.operator,
        name: undefined,
        node: undefined,
        lifetimeSeconds: 60,
        context: by,
      }),
    rows: () => world.db.prisma.joinToken.count(),
  }),
  "evict a node": async () => {
    const { node } = await aNode();
    return {
      caller: world.operator,
      types: ["node.evicted"],
      make: (deps, by) => evictNode(deps, { caller: world.operator, node: node.id, context: by }),
      rows: () => statusOf(node),
    };
  },
  "readmit a node": async () => {
    const { node } = await aNode();
    await evictNode(depsOf(), { caller: world.operator, node: node.id, context });
    return {
      caller: world.operator,
      types: ["node.readmitted"],
      make: (deps, by) => readmitNode(deps, { caller: world.operator, node: node.id, context: by }),
      rows: async () => [await statusOf(node), await svidsOf(node)],
    };
  },
};

test("[NOD-061] [FLT-020] of several that come with one pod's token at once one becomes a node", async () => {
  const evidence = { kind: "k8s_psat", token: podToken() } as const;
  const nodes = await world.db.prisma.node.count();
  const codes = await Promise.all([1, 2, 3, 4].map(() => codeOf(attest(depsOf(), evidence))));
  expect(codes.filter((code) => code === "done")).toHaveLength(1);
  expect(await world.db.prisma.node.count()).toBe(nodes + 1);
  expect(await codeOf(attest(depsOf(), evidence))).toBe("not_attested");
});

describe("a process that dies at any await of what it does to", () => {
  test.each(Object.entries(keyed))(
    "[FLT-001] [API-002] %s leaves entry and rows or neither, and makes it once, however often its key is sent",
    async (name, ready) => openCrashes(world, depsOf).sendToTheDying(ready, name),
  );

  test.each(Object.entries(doings))(
    "[FLT-001] %s leaves entry and rows or neither, and nobody in between",
    (_, ready) => openCrashes(world, depsOf).doAmongTheDying(ready),
  );
});
