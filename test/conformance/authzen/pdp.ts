import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { signDpopProof } from "@countersign/sdk/client/sign";
import { createResource } from "@countersign/sdk/contract/resources";
import { readShippedPolicy } from "../../../src/policy/policy-files.ts";
import { depsFor, makeInstallation } from "../../server.ts";

/** What a policy decision point answered. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed where it is JSON; else its text. */
  readonly body: unknown;
}

/** A server with the fixture's policy in force, and a resource server that asks it. */
export interface Pdp {
  readonly issuer: string;
  /** Posts a question as JSON. */
  ask(path: string, body: object, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** Posts any octets under any type. */
  send(path: string, body: string, headers: Readonly<Record<string, string>>): Promise<Answer>;
}

/** Starts the server, and brings the fixture into force there as an operator would. */
export async function startPdp(atEnd: (remove: () => Promise<void>) => void): Promise<Pdp> {
  const installation = await makeInstallation({}, atEnd);
  const server = await installation.startServer();
  const fixture = new URL("../../../policies/authzen-certification.csv", import.meta.url);
  const file = join(installation.dataDir, "policy.csv");
  await writeFile(file, (await readShippedPolicy()).policy + (await readFile(fixture, "utf8")));
  const applied = await installation.run("policy", "apply", file);
  if (applied.code !== 0) throw new Error(`the fixture is refused: ${applied.err}`);

  const operator = await installation.operatorAt(server);
  const { publicJwk, privateJwk: key } = await makeKeyPair();
  const { client_id: clientId } = await operator.perform(createResource, {
    body: { audience: "https://records.example", scope: ["read"], open: true, jwk: publicJwk },
  });
  const { issuer } = installation;
  const client = installation.clientAt(server, { clientId, key });
  const target = { resource: `${issuer}/v1`, scope: "evaluate" };
  const { access_token: accessToken } = await client.requestToken(target);
  const deps = depsFor(issuer, server);

  const send: Pdp["send"] = async (path, body, headers) => {
    const url = `${issuer}${path}`;
    const dpop = await signDpopProof(deps, { key, method: "POST", url, accessToken });
    const response = await deps.fetch(url, {
      method: "POST",
      headers: { ...headers, authorization: `DPoP ${accessToken}`, dpop },
      body,
    });
    const isJson = response.headers.get("content-type")?.includes("json") === true;
    const answer = isJson ? await response.json() : await response.text();
    return { status: response.status, headers: response.headers, body: answer };
  };
  return {
    issuer,
    send,
    ask: (path, body, headers = {}) =>
      send(path, JSON.stringify(body), { ...headers, "content-type": "application/json" }),
  };
}

/** The fixture's subjects, resources and actions, as requests name them. */
export const alice = { type: "user", id: "alice" };
export const bob = { type: "user", id: "bob" };
export const admin = { ...bob, properties: { role: "admin" } };
export const record1 = { type: "record", id: "record-1" };
export const record2 = { type: "record", id: "record-2" };
export const active1 = { ...record1, properties: { status: "active" } };
export const archived2 = { ...record2, properties: { status: "archived" } };
export const read = { name: "read" };
export const write = { name: "write" };
