import { afterAll, beforeAll, expect, test } from "vitest";
import type { AuthenticationFailure } from "../../src/journeys/authentication/count-failure.ts";
import { keepAuthorities } from "../../src/journeys/keys/authorities.ts";
import { createKeys } from "../../src/journeys/keys/create.ts";
import { attestNode } from "../../src/journeys/node/attest.ts";
import { createJoinToken } from "../../src/journeys/node/create-join-token.ts";
import { type KeyRing, openKeyRing } from "../../src/keys/key-ring.ts";
import { findJoinToken, findNode, findNodeOf, listNodeSvids } from "../../src/store/nodes.ts";
import { createJoinTokenAttestor } from "../../src/svid/attest/node/join-token.ts";
import { newKeyPair } from "../../src/svid/key-pair.ts";
import { createSignatureVerifier } from "../../src/svid/verify-signature.ts";
import { context, trustDomain } from "./server-process.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
let ring: KeyRing;
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
  return {
    ...deps,
    trustDomain,
    x509Authority: () => ring.x509Authorities().active,
    reloadKeys: ring.reload,
    trustBundle: ring.trustBundle,
    verifySignature,
    countFailure: (failure) => failures.push(failure),
    attestMachine: (evidence, publicKey) =>
      evidence.kind === "join_token" ? attestor.attest(evidence, publicKey) : expect.unreachable(),
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
