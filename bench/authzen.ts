import type { Closing } from "../src/app/closing.ts";
import { measureFloor } from "./frame/floor.ts";
import type { Bench } from "./frame/row.ts";
import {
  answersOf,
  apiShot,
  at,
  type Load,
  measureLoad,
  openScene,
  type Scene,
  tokenLoad,
} from "./frame/scene.ts";

const batchSize = 50;

/**
 * Measures what a resource server asks of policy, over HTTP and under a DPoP proof each time: a name that only the policy could know,
 * an agent that holds a delegation, and many names at once. The floor verifies one proof and remembers it for good, which every
 * request of the API does.
 */
export const bench: Bench = async (closing) => {
  const scene = await openScene(closing);
  const resource = { type: "record", id: "record-1" };
  const named = { subject: { type: "user", id: "alice" }, action: { name: "read" }, resource };
  const single = await measureLoad(scene, {
    ...(await questionLoad(scene, "evaluation", () => named)),
    operations: 1_500,
  });
  const { audience, scope } = scene.resource;
  const held = (index: number) => ({
    subject: { type: "agent", id: at(at(scene.chains, index), 2).id },
    action: { name: scope },
    resource: { type: "resource", id: audience },
  });
  const agent = await measureLoad(scene, {
    ...(await questionLoad(scene, "evaluation", held)),
    operations: 1_500,
  });
  const { subject, action } = named;
  const evaluations = Array.from({ length: batchSize }, (_, place) => ({
    resource: { type: "record", id: `record-${place}` },
  }));
  const batch = await measureLoad(scene, {
    ...(await questionLoad(scene, "evaluations", () => ({ subject, action, evaluations }))),
    operations: 500,
  });
  await scene.server.stop();

  const floor = await floorOf(closing);
  return [
    { work: "AuthZEN evaluation, DPoP", ...single, floor },
    { work: "AuthZEN evaluation of an agent with a delegation", ...agent, floor },
    { work: `AuthZEN evaluations, a batch of ${batchSize}`, ...batch, floor },
  ];
};

function floorOf(closing: Closing) {
  return measureFloor(closing, { signatures: 0, verifications: 1, insert: true });
}

/** Questions of the scene's resource server about itself and what it guards. */
async function questionLoad(
  scene: Scene,
  question: "evaluation" | "evaluations",
  bodyOf: (index: number) => object,
): Promise<Load> {
  const asker = scene.resource;
  const direct = {
    grant_type: "client_credentials",
    resource: `${scene.server.issuer}/v1`,
    scope: "evaluate",
  };
  const [answer = {}] = await answersOf(
    scene,
    tokenLoad(
      scene,
      () => asker,
      true,
      () => direct,
    ),
    1,
  );
  return {
    shotOf: (index) => apiShot(scene, asker, `/access/v1/${question}`, answer, bodyOf(index)),
    expected: '"decision":',
  };
}
