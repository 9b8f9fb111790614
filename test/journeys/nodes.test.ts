import type { NodeEvidence } from "@countersign/sdk/contract/node-face";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { AuthenticationFailure } from "../../src/journeys/authentication/count-failure.ts";
import { keepAuthorities } from "../../src/journeys/keys/authorities.ts";
import { createKeys } from "../../src/journeys/keys/create.ts";
import { attestNode } from "../../src/journeys/node/attest.ts";
import { createJoinToken } from "../../src/journeys/node/create-join-token.ts";
import { evictNode } from "../../src/journeys/node/evict.ts";
import { type KeyRing, openKeyRing } from "../../src/keys/key-ring.ts";
import { findJoinToken, findNode, findNodeOf, listNodeSvids } from "../../src/store/nodes.ts";
import { createJoinTokenAttestor } from "../../src/svid/attest/node/join-token.ts";
import { createK8sPsatAttestor } from "../../src/svid/attest/node/k8s-psat.ts";
import { newKeyPair } from "../../src/svid/key-pair.ts";
import { createSignatureVerifier } from "../../src/svid/verify-signature.ts";
import { clusterKey, pinnedCluster, projectedToken } from "../k8s-api-server.ts";
import { usesUpAtOnce } from "../used-once.ts";
import { context, organization, trustDomain } from "./server-process.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
let ring: KeyRing;
const apiServer = clusterKey();
const verifySignature = createSignatureVerifier();

beforeAll(async () => {
  world = await openWorld();
  const { db, deps } = world;
  const onReloadFailed = () => undefined;
  ring = await openKeyRing({ db, sealer: deps.sealer, trustDomain, now: deps.now, onReloadFailed });
  const by = { kind: "system", id: "test" } as const;
  await createKeys({ ...deps, reloadKeys: ring.reload }, { logs: [], by });
  await keepAuthorities({ ...deps, reloadKeys: ring.reload, upstream: undefined, verifySignature }, by);
});
afterAll(async () => {
  await ring.close();
  await world.close();
});

function attesting(failures: AuthenticationFailure[]): Parameters<typeof attestNode>[0] {
  const { db, deps } = world;
  const attestor = createJoinTokenAttestor({
    now: deps.now,
    findJoinToken: (hash) => findJoinToken(db, hash),
  });
  const ofPods = createK8sPsatAttestor({
    now: deps.now,
    useUp: usesUpAtOnce(),
    clusters: [pinnedCluster(apiServer)],
    organization,
  });
  return {
    ...deps,
    trustDomain,
    x509Authority: () => ring.x509Authorities().active,
    reloadKeys: ring.reload,
    trustBundle: ring.trustBundle,
    verifySignature,
    countFailure: (failure) => failures.push(failure),
    attestMachine: (evidence, publicKey) => {
      if (evidence.kind === "join_token") return attestor.attest(evidence, publicKey);
      return evidence.kind === "k8s_psat" ? ofPods.attest(evidence, publicKey) : expect.unreachable();
    },
    findNode: (organization, id) => findNode(db, organization, id),
    findNodeOf: (organization, machine) => findNodeOf(db, organization, machine),
    listNodeSvids: (node) => listNodeSvids(db, node),
  };
}

test("[NOD-004] evidence that shows no machine is counted by its kind, and makes no node", async () => {
  const { token } = await createJoinToken(
    { ...world.deps, findNode: () => expect.unreachable() },
    { caller: world.operator, name: "one", node: undefined, lifetimeSeconds: 60, context },
  );
  const failures: AuthenticationFailure[] = [];
  const join = (secret: string) =>
    attestNode(attesting(failures), {
      evidence: { kind: "join_token", token: secret },
      publicKey: newKeyPair().publicKey,
      context,
    });
  await expect(join(`${token}A`)).rejects.toMatchObject({ code: "not_attested" });
  expect(failures).toEqual([{ reason: "node_join_token", endpoint: "/v1" }]);
  expect((await join(token)).node).toMatchObject({ name: "one", attestation: "join_token" });
  await expect(join(token)).rejects.toMatchObject({ code: "not_attested" });
  expect(failures).toHaveLength(2);
});

test("[NOD-022] a node tells of the machine that joined last, and stays out by what it was first", async () => {
  const deps = { ...world.deps, ...attesting([]) };
  const caller = world.operator;
  const ofPod = () => ({
    kind: "k8s_psat" as const,
    token: projectedToken("https://cluster.example", apiServer, { nowMs: world.clock.nowMs }),
  });
  const attest = (evidence: NodeEvidence) =>
    attestNode(deps, { evidence, publicKey: newKeyPair().publicKey, context });
  const { node } = await attest(ofPod());
  world.clock.nowMs += 1_000;
  const made = await createJoinToken(deps, {
    caller,
    name: undefined,
    node: node.id,
    lifetimeSeconds: 60,
    context,
  });
  const again = await attest({ kind: "join_token", token: made.token });
  const last = {
    id: node.id,
    name: node.name,
    attestation: "join_token",
    subject: made.id,
    selectors: [`join_token:id:${made.id}`],
    attestedAtMs: node.attestedAtMs + 1_000,
  };
  expect(again.node).toMatchObject(last);
  expect(await findNode(world.db, organization, node.id)).toMatchObject(last);
  await evictNode(deps, { caller, node: node.id, context });
  expect(await findNode(world.db, organization, node.id)).toMatchObject({ ...last, status: "evicted" });
  await expect(attest(ofPod())).rejects.toMatchObject({ code: "not_attested" });
});
