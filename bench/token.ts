import type { Closing } from "../src/app/closing.ts";
import { measureFloor } from "./frame/floor.ts";
import type { Bench, Budget, Figures, Row } from "./frame/row.ts";
import {
  answersOf,
  at,
  clientShot,
  depthMax,
  exchangeLoad,
  type Load,
  measureLoad,
  openScene,
  type Scene,
  tokenLoad,
} from "./frame/scene.ts";

const depths = [1, 3, depthMax] as const;
/** The works that have a budget take turns, so that a disturbance or the heat of the code hits all of them alike. */
const rounds = 3;
const operationsOfRound = 1_500;

/**
 * Measures the token endpoint and introspection of a real server, each request authenticated by an assertion of its
 * own, each token recorded and committed before it is signed.
 */
export const bench: Bench = async (closing) => {
  const scene = await openScene(closing);
  const [direct, ...exchanges] = await measureInTurns(scene, [
    directLoad(scene),
    ...depths.map((depth) => exchangeLoad(scene, depth)),
  ]);
  const dpop = await measureLoad(scene, exchangeLoad(scene, 3, true));
  const alone = await measureLoad(scene, { ...exchangeLoad(scene, 3), callers: 1, operations: 500 });
  const introspection = await measureLoad(scene, await introspectionLoad(scene));
  const memoryMiB = scene.server.memoryMiB();
  await scene.server.stop();

  const floor = await floors(closing);
  const most = (limit: number): Budget => ({ of: "cpuMicros", most: limit });
  const flat = most(Math.round(1.15 * (exchanges[0]?.cpuMicros ?? 0)));
  return [
    {
      work: "client_credentials, private_key_jwt",
      ...direct,
      floor: floor.token,
      budgets: [most(600)],
    },
    ...exchanges.map(
      (figures, place): Row => ({
        work: `token exchange, depth ${depths[place]}`,
        ...figures,
        floor: floor.token,
        budgets: place === 0 ? [most(650)] : [most(650), flat],
      }),
    ),
    { work: "token exchange, depth 3, with DPoP", ...dpop, floor: floor.dpop },
    { work: "token exchange, depth 3, one caller", ...alone, floor: floor.alone },
    { work: "introspection of tokens seen before", ...introspection, floor: floor.introspection },
    // The budget is for the start, see start.ts.
    { work: "memory after this load", memoryMiB },
  ];
};

/** Each after the other, because each runs a PostgreSQL of its own. */
async function floors(closing: Closing) {
  return {
    token: await measureFloor(closing, { signatures: 1, verifications: 1, insert: true }),
    alone: await measureFloor(closing, { signatures: 1, verifications: 1, insert: true, callers: 1 }),
    dpop: await measureFloor(closing, { signatures: 1, verifications: 2, insert: true }),
    // The assertion is verified; what is inserted is that it was used.
    introspection: await measureFloor(closing, { signatures: 0, verifications: 1, insert: true }),
  };
}

/** Of each load the round with the median CPU; one round before them warms up what all of them share. */
async function measureInTurns(scene: Scene, loads: readonly Load[]): Promise<readonly Figures[]> {
  const measured = loads.map((): Figures[] => []);
  for (let round = 0; round <= rounds; round++) {
    for (const [place, load] of loads.entries()) {
      const figures = await measureLoad(scene, { ...load, operations: operationsOfRound });
      if (round > 0) measured[place]?.push(figures);
    }
  }
  return measured.map((figures) => {
    const sorted = figures.toSorted((one, other) => one.cpuMicros - other.cpuMicros);
    return at(sorted, Math.floor(rounds / 2));
  });
}

function directLoad(scene: Scene): Load {
  const agents = scene.chains.flat();
  return tokenLoad(
    scene,
    (index) => at(agents, index),
    false,
    () => ({
      grant_type: "client_credentials",
      resource: `${scene.server.issuer}/v1`,
      scope: "delegate",
    }),
  );
}

/** The Resource asks about tokens of depth 3, one of each chain. */
async function introspectionLoad(scene: Scene): Promise<Load> {
  const answers = await answersOf(scene, exchangeLoad(scene, 3), scene.chains.length);
  const tokens = answers.map(({ access_token }) => String(access_token));
  return {
    shotOf: (index) => clientShot(scene, "/introspect", scene.resource, { token: at(tokens, index) }),
    expected: '"active":true',
  };
}
