import { createDelegation } from "@countersign/sdk/contract/delegations";
import { createUser } from "@countersign/sdk/contract/users";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { audience, callApi, exchangeOf } from "../chaos/cast.ts";
import { type Caller, openStage, type Stage, tokenOf } from "./stage.ts";

// Two who read the same and change it at once: at one server in one round, at both in the next.
const rounds = Array.from({ length: 20 }, (_, round) => round);
const removals: (() => Promise<void>)[] = [];
let stage: Stage;
let caller: Caller;
let owners: readonly string[];
beforeAll(async () => {
  stage = await openStage((remove) => removals.push(remove), {}, 2);
  caller = await stage.signIn(await stage.installation.operatorKey(), "");
  const { operator, alice } = stage.cast;
  const others = ["Bob", "Carol"].map((name) => operator.perform(createUser, { body: { name } }));
  owners = [alice, ...(await Promise.all(others)).map(({ id }) => id)];
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

const readSchema = z.looseObject({ owner: z.string().optional(), status: z.string().optional() });

async function read(path: string) {
  const response = await callApi(stage.installation, stage.at(0), caller, { method: "GET", path });
  expect(response.status).toBe(200);
  return { tag: response.headers.get("etag") ?? "", thing: readSchema.parse(await response.json()) };
}

interface Change {
  readonly method?: "POST" | "PUT";
  readonly path: string;
  readonly body?: object;
}

/** What a change under an ETag is answered with. */
async function change({ method = "POST", path, body }: Change, tag?: string, place = 0): Promise<number> {
  const response = await callApi(stage.installation, stage.at(place), caller, {
    method,
    path,
    ...(tag !== undefined && { headers: { "if-match": tag } }),
    ...(body && { body: JSON.stringify(body) }),
  });
  return response.status;
}

/** What two changes are answered with that are sent at once under one ETag. */
function both(pair: readonly [Change, Change], tag: string, round: number): Promise<number[]> {
  return Promise.all(pair.map((one, place) => change(one, tag, (round % 2) * place)));
}

const agentPath = async (name: string) => `/v1/agents/${(await stage.cast.createAgent(name)).id}`;

describe("[API-004] of two changes under one ETag one is made, and the other is told 412", () => {
  test("two settings of a client: no update is lost", async () => {
    const path = `/v1/clients/${(await stage.cast.createAgent("client")).id}`;
    const set = (name: string): Change => ({
      method: "PUT",
      path,
      body: { redirect_uris: [`https://${name}.example/cb`] },
    });
    for (const round of rounds) {
      const { tag } = await read(path);
      const done = await both([set(`a${round}`), set(`b${round}`)], tag, round);
      expect(done.sort()).toEqual([200, 412]);
    }
  });

  test("two transfers of an agent", async () => {
    const path = await agentPath("moved");
    for (const round of rounds) {
      const { tag, thing } = await read(path);
      const [one, other] = owners.filter((owner) => owner !== thing.owner);
      const to = (owner: string | undefined): Change => ({ path: `${path}/transfer`, body: { owner } });
      expect((await both([to(one), to(other)], tag, round)).sort()).toEqual([200, 412]);
    }
  });

  test("a transfer and a suspension", async () => {
    const path = await agentPath("stopped");
    for (const round of rounds) {
      const { tag, thing } = await read(path);
      const owner = owners.find((other) => other !== thing.owner);
      const transfer = { path: `${path}/transfer`, body: { owner } };
      const done = await both([transfer, { path: `${path}/suspend` }], tag, round);
      expect(done.sort()).toEqual([200, 412]);
      if ((await read(path)).thing.status === "suspended") await change({ path: `${path}/resume` });
    }
  });

  test("two suspensions, and two resumptions", async () => {
    const path = await agentPath("twice");
    for (const round of rounds) {
      const act = { path: `${path}/${round % 2 === 0 ? "suspend" : "resume"}` };
      expect((await both([act, act], (await read(path)).tag, round >> 1)).sort()).toEqual([200, 412]);
    }
  });

  test("a suspension and a resumption: nobody resumes what was running when they read it", async () => {
    const path = await agentPath("resumed");
    const [suspend, resume] = [{ path: `${path}/suspend` }, { path: `${path}/resume` }];
    for (const round of rounds) {
      const [suspended, resumed] = await both([suspend, resume], (await read(path)).tag, round);
      // 409: the resumption came first, while nothing had changed and there was nothing to resume.
      expect([suspended, [409, 412].includes(resumed ?? 0)]).toEqual([200, true]);
      expect(await change(resume)).toBe(200);
    }
  });

  test("a delegation's two revocations", async () => {
    const agent = await stage.cast.createAgent("granted");
    for (const round of rounds) {
      const path = `/v1/delegations/${await stage.cast.grant(agent)}`;
      const act = { path: `${path}/revoke` };
      expect((await both([act, act], (await read(path)).tag, round)).sort()).toEqual([200, 412]);
    }
  });
});

test("[API-004] an agent that was stopped and resumed is not as it was read, whatever its status says", async () => {
  const path = await agentPath("again");
  for (const _ of [1, 2]) {
    const { tag } = await read(path);
    await change({ path: `${path}/suspend` });
    await change({ path: `${path}/resume` });
    expect(await change({ path: `${path}/retire` }, tag)).toBe(412);
  }
});

test("[API-004] what an agent does with its authority keeps nobody from taking it away as it was read", async () => {
  const agent = await stage.cast.createAgent("busy");
  const { alice, operator } = stage.cast;
  const terms = { resource: audience, scope: ["mail.read"], budget: { tokens: 2 } };
  const { id } = await operator.perform(createDelegation, {
    body: { from_user: alice, to_agent: agent.id, ...terms },
  });
  const [ofDelegation, ofAgent] = [`/v1/delegations/${id}`, `/v1/agents/${agent.id}`];
  const [delegation, itself] = [await read(ofDelegation), await read(ofAgent)];
  tokenOf(await stage.ask(agent, exchangeOf(id)));
  await stage.cast.grant(agent);
  // The tags have moved with what is left and how many there are: who reads is not told that nothing did.
  expect((await read(ofDelegation)).tag).not.toBe(delegation.tag);
  expect((await read(ofAgent)).tag).not.toBe(itself.tag);
  expect(await change({ path: `${ofDelegation}/revoke` }, delegation.tag)).toBe(200);
  expect(await change({ path: `${ofAgent}/suspend` }, itself.tag)).toBe(200);
});
