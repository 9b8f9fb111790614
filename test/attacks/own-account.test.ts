import { join } from "node:path";
import type { ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JWTSVIDResponse, ValidateJWTSVIDResponse } from "../../src/workload-api/generated/workload.ts";
import { type NodeStage, openNodeStage } from "../e2e/node-stage.ts";
import { until } from "../server.ts";
import { ask, read, security, statusOf, workloadClient } from "../workload-api/socket.ts";

/** Server and node as they run when nobody asks for anything else, and entries that this process matches. */
let stage: NodeStage;
beforeAll(async () => {
  stage = await openNodeStage({}, [], []);
});
afterAll(() => stage.close());

/** What each call of the Workload API is told, in one line, by its name. */
async function answersOf(client: ReturnType<typeof workloadClient>): Promise<Record<string, string>> {
  const [audience, svid, spiffeId] = ["https://bank.example", "a.b.c", stage.agent.spiffeId];
  const first = <Answer>(stream: ReturnType<typeof read<Answer>>) => stream.next().finally(stream.cancel);
  const calls: Readonly<Record<string, Promise<unknown>>> = {
    FetchJWTSVID: ask<JWTSVIDResponse>((respond) =>
      client.fetchJwtsvid({ audience: [audience], spiffeId }, security, respond),
    ),
    ValidateJWTSVID: ask<ValidateJWTSVIDResponse>((respond) =>
      client.validateJwtsvid({ audience, svid }, security, respond),
    ),
    FetchX509SVID: first(read(client.fetchX509Svid({}, security))),
    FetchX509Bundles: first(read(client.fetchX509Bundles({}, security))),
    FetchJWTBundles: first(read(client.fetchJwtBundles({}, security))),
  };
  const told = await Promise.all(
    Object.entries(calls).map(async ([name, call]) => [name, await statusOf(call)]),
  );
  return Object.fromEntries(told);
}

const methods = ["FetchJWTSVID", "FetchJWTBundles", "FetchX509Bundles", "FetchX509SVID", "ValidateJWTSVID"];
const allDenied = Object.fromEntries(methods.map((method) => [method, "PERMISSION_DENIED"]));

const issuedToAgent = async () =>
  (await stage.entriesOf("svid.issued")).filter((one) => one["agent"] === stage.agent.id);

describe("[SVI-060] a process of the account that serves the socket", () => {
  it("gets nothing from a node, which counts that, though an entry is for it", async () => {
    const node = await stage.joinNode();
    await stage.entryFor(node.id);
    const metric = async (line: RegExp) => line.test(await (await fetch(`${node.health}/metrics`)).text());
    await until("the entry", () => metric(/^countersign_node_entries 1$/m));
    expect(await answersOf(stage.apiOf(node))).toEqual(allDenied);
    expect(await metric(/^countersign_node_attestations_refused_total 5$/m)).toBe(true);
    expect(await issuedToAgent()).toEqual([]);
  });

  it("gets nothing from a server, which is told why and recorded once for each call, though an entry is for it", async () => {
    await stage.entryFor(undefined);
    const client = workloadClient(join(stage.installation.dataDir, "workload.sock"));
    expect(await answersOf(client)).toEqual(allDenied);
    expect(await answersOf(client)).toEqual(allDenied);
    const asked = { audience: ["x"], spiffeId: "" };
    const why = ask<JWTSVIDResponse>((respond) => client.fetchJwtsvid(asked, security, respond));
    expect(await why.catch(({ details }: ServiceError) => details)).toContain("--attest-own-uid");
    client.close();
    await stage.server.current.stop();
    stage.server.current = await stage.installation.startServer();
    expect(await issuedToAgent()).toEqual([]);
    const refused = (await stage.entriesOf("authentication.failed")).map(({ detail, count }) => ({
      ...(detail as object),
      count,
    }));
    const counted = methods.map((method) => ({
      reason: "not_attested",
      endpoint: `/SpiffeWorkloadAPI/${method}`,
      count: method === "FetchJWTSVID" ? 3 : 2,
    }));
    expect(refused).toHaveLength(counted.length);
    expect(refused).toEqual(expect.arrayContaining(counted));
  });
});
