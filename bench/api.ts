import { randomUUID } from "node:crypto";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { accessTokenType } from "@countersign/sdk/contract/access-token";
import { createDelegation } from "@countersign/sdk/contract/delegations";
import { createResource } from "@countersign/sdk/contract/resources";
import type { Closing } from "../src/app/closing.ts";
import { measureFloor } from "./frame/floor.ts";
import { operatorOf, registerAgent } from "./frame/population.ts";
import type { Bench } from "./frame/row.ts";
import {
  answersOf,
  apiShot,
  at,
  exchangeLoad,
  type Load,
  measureLoad,
  openScene,
  type Scene,
  tokenLoad,
  tokenOf,
} from "./frame/scene.ts";

const operations = 1_500;
/** With those of the warm-up. */
const shots = 1_800;

/**
 * Measures what agents ask besides tokens of their own delegations: leave for an action, a token passed on, a delegation
 * passed on. Each is recorded and committed before it is answered.
 */
export const bench: Bench = async (closing) => {
  const scene = await openScene(closing);
  const authorize = await measureLoad(scene, { ...(await authorizeLoad(scene)), operations });
  const onward = await measureLoad(scene, { ...(await onwardLoad(scene)), operations });
  const narrow = await narrowLoad(scene);
  const narrowed = await measureLoad(scene, { ...narrow(() => randomUUID()), operations });
  const known = randomUUID();
  await answersOf(
    scene,
    narrow(() => known),
    1,
  );
  const repeated = await measureLoad(scene, { ...narrow(() => known), operations });
  await scene.server.stop();

  const floor = await floors(closing);
  return [
    { work: "authorize an action, depth 3, DPoP", ...authorize, floor: floor.proven },
    { work: "redeem an access token onward", ...onward, floor: floor.onward },
    { work: "pass a delegation on, with an idempotency key", ...narrowed, floor: floor.proven },
    { work: "the same request once more", ...repeated, floor: floor.proven },
  ];
};

/** Each after the other, because each runs a PostgreSQL of its own. */
async function floors(closing: Closing) {
  return {
    // The proof is verified; the access token was before.
    proven: await measureFloor(closing, { signatures: 0, verifications: 1, insert: true }),
    onward: await measureFloor(closing, { signatures: 1, verifications: 2, insert: true }),
  };
}

/** The agents at depth 3 each ask for many actions under one token. */
async function authorizeLoad(scene: Scene): Promise<Load> {
  const agents = scene.chains.map((chain) => at(chain, 2));
  const answers = await answersOf(scene, exchangeLoad(scene, 3, true), agents.length);
  const body = { action: "read_message", scope: [scene.resource.scope] };
  return {
    shotOf: (index) => apiShot(scene, at(agents, index), "/v1/authorize", at(answers, index), body),
    expected: '"decision":"allow"',
  };
}

/** A server that was given tokens gets, for each of them, one of its own for the Resource behind it. */
async function onwardLoad(scene: Scene): Promise<Load> {
  const { operator, alice, resource } = { operator: await operatorOf(scene.server), ...scene };
  const [presenter, server] = [await registerAgent(operator, alice), await registerAgent(operator, alice)];
  const behind = "https://archive.example";
  const { publicJwk } = await makeKeyPair();
  await operator.perform(createResource, {
    body: { audience: behind, scope: [resource.scope], owner: alice, jwk: publicJwk },
  });
  const { id } = await operator.perform(createDelegation, {
    body: {
      from_user: alice,
      to_agent: presenter.id,
      resource: resource.audience,
      scope: [resource.scope],
      max_depth: 1,
      onward: [{ agent: server.id, resource: behind, scope: [resource.scope] }],
    },
  });
  const own = { ...scene, chains: [[{ ...presenter, delegation: id }]] };
  const answers = await answersOf(scene, exchangeLoad(own, 1), shots);
  return tokenLoad(
    scene,
    () => server,
    false,
    (index) => ({
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      subject_token: tokenOf(at(answers, index)),
      subject_token_type: accessTokenType,
      resource: behind,
      scope: resource.scope,
    }),
  );
}

/** The agents at depth 1 pass their delegations on, under the key that `keyOf` gives. */
async function narrowLoad(scene: Scene): Promise<(keyOf: () => string) => Load> {
  const { chains, resource, server } = scene;
  const [first, second] = [at(at(chains, 0), 0), at(at(chains, 0), 1)];
  const direct = { grant_type: "client_credentials", resource: `${server.issuer}/v1`, scope: "delegate" };
  const [answer = {}] = await answersOf(
    scene,
    tokenLoad(
      scene,
      () => first,
      true,
      () => direct,
    ),
    1,
  );
  const body = {
    parent: first.delegation,
    to_agent: second.id,
    resource: resource.audience,
    scope: [resource.scope],
  };
  return (keyOf) => ({
    shotOf: (_index) =>
      apiShot(scene, first, "/v1/delegations", answer, body, { "idempotency-key": keyOf() }),
    expected: '"id":"dlg_',
  });
}
