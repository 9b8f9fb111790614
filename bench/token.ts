import { Agent } from "node:http";
import { signClientAssertion, signDpopProof } from "@countersign/sdk/client/sign";
import { delegationTokenType } from "@countersign/sdk/contract/access-token";
import type { Closing } from "../src/app/closing.ts";
import { makeDataDirectory } from "./frame/data-directory.ts";
import { measureFloor } from "./frame/floor.ts";
import { measureRequests, type Shot, send } from "./frame/load.ts";
import { warmUpOf } from "./frame/measure.ts";
import { type Hop, type Party, type Population, populate, signDeps } from "./frame/population.ts";
import type { Bench, Budget, Figures, Row } from "./frame/row.ts";
import { type BenchServer, startServer } from "./frame/server.ts";

/** The server that is shot at, and who lives there. */
interface Scene extends Population {
  readonly server: BenchServer;
}

interface Load {
  readonly path: string;
  readonly clientOf: (index: number) => Party;
  readonly formOf: (index: number) => Readonly<Record<string, string>>;
  readonly withDpop?: boolean;
  readonly expected: string;
  readonly callers?: number;
  readonly operations?: number;
}

const depths = [1, 3, 5] as const;
const chains = 32;
const callers = 64;
const operations = 3_000;
/** The works that have a budget take turns, so that a disturbance or the heat of the code hits all of them alike. */
const rounds = 3;
const operationsOfRound = 1_500;
const recorded = '"ledger":{"log":"default","index":';

/**
 * Measures the token endpoint and introspection of a real server, each request authenticated by an assertion of its
 * own, each token recorded and committed before it is signed.
 */
export const bench: Bench = async (closing) => {
  const server = await startServer(closing, makeDataDirectory(closing));
  const scene = { server, ...(await populate(server, { chains, depth: Math.max(...depths) })) };
  const [direct, ...exchanges] = await measureInTurns(scene, [
    directLoad(scene),
    ...depths.map((depth) => exchangeLoad(scene, depth)),
  ]);
  const dpop = await measureLoad(scene, { ...exchangeLoad(scene, 3), withDpop: true });
  const alone = await measureLoad(scene, { ...exchangeLoad(scene, 3), callers: 1, operations: 500 });
  const introspection = await measureLoad(scene, await introspectionLoad(scene));
  const memoryMiB = server.memoryMiB();
  await server.stop();

  const floor = await floors(closing);
  const most = (of: "cpuMicros" | "memoryMiB", limit: number): Budget => ({ of, most: limit });
  const flat = most("cpuMicros", Math.round(1.15 * (exchanges[0]?.cpuMicros ?? 0)));
  return [
    {
      work: "client_credentials, private_key_jwt",
      ...direct,
      floor: floor.token,
      budgets: [most("cpuMicros", 600)],
    },
    ...exchanges.map(
      (figures, place): Row => ({
        work: `token exchange, depth ${depths[place]}`,
        ...figures,
        floor: floor.token,
        budgets: place === 0 ? [most("cpuMicros", 650)] : [most("cpuMicros", 650), flat],
      }),
    ),
    { work: "token exchange, depth 3, with DPoP", ...dpop, floor: floor.dpop },
    { work: "token exchange, depth 3, one caller", ...alone },
    { work: "introspection", ...introspection, floor: floor.introspection },
    { work: "memory after this load", memoryMiB, budgets: [most("memoryMiB", 250)] },
  ];
};

/** Each after the other, because each runs a PostgreSQL of its own. */
async function floors(closing: Closing) {
  return {
    token: await measureFloor(closing, { signatures: 1, verifications: 1, insert: true }),
    dpop: await measureFloor(closing, { signatures: 1, verifications: 2, insert: true }),
    // The assertion and the token are verified; what is inserted is that the assertion was used.
    introspection: await measureFloor(closing, { signatures: 0, verifications: 2, insert: true }),
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

function directLoad({ server, chains: all }: Scene): Load {
  const agents = all.flat();
  return {
    path: "/token",
    clientOf: (index) => at(agents, index),
    formOf: () => ({
      grant_type: "client_credentials",
      resource: `${server.issuer}/v1`,
      scope: "delegate",
    }),
    expected: recorded,
  };
}

function exchangeLoad({ chains: all, resource }: Scene, depth: number): Load {
  const hopOf = (index: number): Hop => at(at(all, index), depth - 1);
  return {
    path: "/token",
    clientOf: hopOf,
    formOf: (index) => ({
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      subject_token: hopOf(index).delegation,
      subject_token_type: delegationTokenType,
      resource: resource.audience,
      scope: resource.scope,
    }),
    expected: recorded,
  };
}

/** The Resource asks about tokens of depth 3, one of each chain. */
async function introspectionLoad(scene: Scene): Promise<Load> {
  const { chains: all, resource, server } = scene;
  const agent = new Agent({ keepAlive: true });
  const tokens = await Promise.all(
    all.map(async (_, index) => {
      const { body } = await send(agent, server.issuer, await shotOf(scene, exchangeLoad(scene, 3), index));
      return String(JSON.parse(body).access_token);
    }),
  );
  agent.destroy();
  return {
    path: "/introspect",
    clientOf: () => resource,
    formOf: (index) => ({ token: at(tokens, index) }),
    expected: '"active":true',
  };
}

async function measureLoad(scene: Scene, load: Load): Promise<Figures> {
  const count = load.operations ?? operations;
  const shots: Shot[] = [];
  // Signed beforehand: an assertion lives for a minute, and each is good once.
  for (let index = 0; index < warmUpOf(count) + count; index++) shots.push(await shotOf(scene, load, index));
  return measureRequests({
    origin: scene.server.issuer,
    shotOf: (index) => at(shots, index),
    expected: load.expected,
    callers: load.callers ?? callers,
    operations: count,
    cpu: scene.server.cpu,
  });
}

async function shotOf({ server: { issuer } }: Scene, load: Load, index: number): Promise<Shot> {
  const { clientId, key } = load.clientOf(index);
  const { path } = load;
  const form = new URLSearchParams({
    ...load.formOf(index),
    client_id: clientId,
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion: await signClientAssertion(signDeps, { clientId, key, issuer }),
  }).toString();
  if (load.withDpop !== true) return { path, form };
  return {
    path,
    form,
    dpop: await signDpopProof(signDeps, { key, method: "POST", url: `${issuer}${path}` }),
  };
}

function at<Item>(items: readonly Item[], index: number): Item {
  const item = items[index % items.length];
  if (item === undefined) throw new RangeError("the list is empty");
  return item;
}
