import { Agent } from "node:http";
import { signClientAssertion, signDpopProof } from "@countersign/sdk/client/sign";
import { delegationTokenType } from "@countersign/sdk/contract/access-token";
import type { Closing } from "../../src/app/closing.ts";
import { makeDataDirectory } from "./data-directory.ts";
import { measureRequests, type Shot, send } from "./load.ts";
import { warmUpOf } from "./measure.ts";
import { type Hop, type Party, type Population, populate, signDeps } from "./population.ts";
import type { Figures } from "./row.ts";
import { type BenchServer, startServer } from "./server.ts";

/** The server that is shot at, and who lives there. */
export interface Scene extends Population {
  readonly server: BenchServer;
}

/** What is shot: each request is made, and signed, before any is sent. */
export interface Load {
  readonly shotOf: (index: number) => Promise<Shot>;
  readonly expected: string;
  /** 64 unless told. */
  readonly callers?: number;
  /** 3,000 unless told. */
  readonly operations?: number;
}

/** Chains of this length, in which a load at depth 1 or 3 uses the first hops. */
export const depthMax = 5;

/** A real server with 32 chains of agents. */
export async function openScene(closing: Closing): Promise<Scene> {
  const server = await startServer(closing, makeDataDirectory(closing));
  return { server, ...(await populate(server, { chains: 32, depth: depthMax })) };
}

/** Measures a load. An assertion lives for a minute and is good once, so all are signed just before. */
export async function measureLoad(scene: Scene, load: Load): Promise<Figures> {
  const { callers = 64, operations = 3_000 } = load;
  const shots = await makeShots(load, warmUpOf(operations) + operations);
  return measureRequests({
    origin: scene.server.issuer,
    shotOf: (index) => at(shots, index),
    expected: load.expected,
    callers,
    operations,
    cpu: scene.server.cpu,
  });
}

async function makeShots({ shotOf }: Load, count: number): Promise<Shot[]> {
  const shots: Shot[] = [];
  for (let index = 0; index < count; index++) shots.push(await shotOf(index));
  return shots;
}

/** Sends one shot of each index and returns the JSON answers. */
export async function answersOf(
  { server }: Scene,
  load: Load,
  count: number,
): Promise<Record<string, unknown>[]> {
  const agent = new Agent({ keepAlive: true });
  const answers: Record<string, unknown>[] = [];
  for (const shot of await makeShots(load, count)) {
    const { status, body } = await send(agent, server.issuer, shot);
    if (!body.includes(load.expected)) throw new Error(`${shot.path} answered ${status}: ${body}`);
    answers.push(JSON.parse(body));
  }
  agent.destroy();
  return answers;
}

/** An agent of each chain redeems its delegation. */
export function exchangeLoad(scene: Scene, depth: number, withDpop = false): Load {
  const { chains, resource } = scene;
  const hopOf = (index: number): Hop => at(at(chains, index), depth - 1);
  return tokenLoad(scene, hopOf, withDpop, (index) => ({
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    subject_token: hopOf(index).delegation,
    subject_token_type: delegationTokenType,
    resource: resource.audience,
    scope: resource.scope,
  }));
}

const recorded = '"ledger":{"log":"default","index":';

/** Requests of tokens, each of which must come with the place of its entry. */
export function tokenLoad(
  scene: Scene,
  clientOf: (index: number) => Party,
  withDpop: boolean,
  formOf: (index: number) => Readonly<Record<string, string>>,
): Load {
  const shotOf = async (index: number): Promise<Shot> => {
    const client = clientOf(index);
    const shot = await clientShot(scene, "/token", client, formOf(index));
    return withDpop ? { ...shot, headers: { dpop: await proofFor(scene, client, "/token") } } : shot;
  };
  return { shotOf, expected: recorded };
}

/** A form of an authenticated client. */
export async function clientShot(
  { server: { issuer } }: Scene,
  path: string,
  { clientId, key }: Party,
  form: Readonly<Record<string, string>>,
): Promise<Shot> {
  const assertion = await signClientAssertion(signDeps, { clientId, key, issuer });
  const fields = new URLSearchParams({
    ...form,
    client_id: clientId,
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion: assertion,
  });
  return { path, form: fields.toString() };
}

/** A DPoP proof for a POST; with the token, one under which the API takes it. */
function proofFor(
  { server: { issuer } }: Scene,
  { key }: Party,
  path: string,
  accessToken?: string,
): Promise<string> {
  const bound = accessToken === undefined ? {} : { accessToken };
  return signDpopProof(signDeps, { key, method: "POST", url: `${issuer}${path}`, ...bound });
}

/** A request of the API, under an access token that is bound to the caller's key. */
export async function apiShot(
  scene: Scene,
  caller: Party,
  path: string,
  answer: Readonly<Record<string, unknown>>,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
) {
  const token = tokenOf(answer);
  return {
    path,
    headers: { ...headers, authorization: `DPoP ${token}`, dpop: await proofFor(scene, caller, path, token) },
    json: JSON.stringify(body),
  };
}

/** The token of an answer of the token endpoint. */
export const tokenOf = ({ access_token }: Readonly<Record<string, unknown>>) => String(access_token);

/** The item at this place of a list that begins again after its end. */
export function at<Item>(items: readonly Item[], index: number): Item {
  const item = items[index % items.length];
  if (item === undefined) throw new RangeError("the list is empty");
  return item;
}
