import { once } from "node:events";
import { request } from "node:https";
import { json } from "node:stream/consumers";
import { createEntry } from "@countersign/sdk/contract/entries";
import { createJoinToken, evictNode, getNode, readmitNode } from "@countersign/sdk/contract/nodes";
import { getServerStatus } from "@countersign/sdk/contract/server-status";
import { type NodeId, parseId } from "@countersign/sdk/model/ids";
import { parseSelector } from "@countersign/sdk/model/selector";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { base64Of, bytesOf } from "../../src/domain/base64.ts";
import { certificatePem, keyPem, readIdentity } from "../../src/node/node-identity.ts";
import { newKeyPair } from "../../src/svid/key-pair.ts";
import { sqlOf } from "../chaos/postgres.ts";
import { isServed, type NodeStage, openNodeStage, type Shown } from "../e2e/node-stage.ts";
import { until } from "../server.ts";

let stage: NodeStage;
beforeAll(async () => {
  stage = await openNodeStage();
});
afterAll(() => stage.close());

interface Answer {
  readonly status: number;
  readonly json: Record<string, unknown>;
}

/** What somebody has who was given an SVID for a key of their own. */
function heldBy({ json }: Answer, privateKey: Uint8Array): Shown {
  const { certificates } = json;
  if (!Array.isArray(certificates)) throw new Error(`no SVID: ${JSON.stringify(json)}`);
  return {
    cert: certificates.map((text) => certificatePem(bytesOf(String(text)))).join(""),
    key: keyPem(privateKey),
  };
}

async function joined(token: string): Promise<{ readonly node: string; readonly shown: Shown }> {
  const { publicKey, privateKey } = newKeyPair();
  const evidence = { kind: "join_token", token };
  const answer = await stage.call("/v1/node/attest", { public_key: base64Of(publicKey), evidence });
  return { node: String(answer.json["node"]), shown: heldBy(answer, privateKey) };
}

async function renewedBy(shown: Shown): Promise<Shown> {
  const { publicKey, privateKey } = newKeyPair();
  const answer = await stage.call("/v1/node/renew", { public_key: base64Of(publicKey) }, shown);
  return heldBy(answer, privateKey);
}

const askedBy = async (shown: Shown, path = "/v1/node/entries", body?: object) => {
  const { status, json } = await stage.call(path, body, shown);
  return status === 200 ? 200 : `${status} ${json["code"]}`;
};
const renewal = () => ({ public_key: base64Of(newKeyPair().publicKey) });
const spent = "403 not_attested";
const otherUser = () => parseSelector("unix:uid:12345") ?? expect.unreachable();

describe("two who hold one node.json", () => {
  it("[NOD-020] the copy is refused from the machine's first use of its next SVID on, and the operator hears", async () => {
    const { node, shown: copied } = await joined(await stage.joinToken());
    const id = parseId("node", node) ?? expect.unreachable();
    const next = await renewedBy(copied);
    // The answer might have been lost: until then the machine may come again by the former one.
    expect(await askedBy(copied)).toBe(200);
    expect(
      (await stage.cast.operator.perform(getNode, { params: { id } })).spent_svid_shown_at,
    ).toBeUndefined();
    expect(await askedBy(next)).toBe(200);
    for (const path of ["/v1/node/renew", "/v1/node/x509-svids"])
      expect(await askedBy(copied, path, renewal())).toBe(spent);
    expect(await askedBy(copied)).toBe(spent);
    expect(await askedBy(next, "/v1/node/renew", renewal())).toBe(200);
    const shownAt = (await stage.cast.operator.perform(getNode, { params: { id } })).spent_svid_shown_at;
    expect(shownAt).toBeDefined();
    const refused = (await stage.entriesOf("node.refused")).at(-1);
    expect(refused).toMatchObject({ actor: { kind: "node", id }, refusal: { code: "not_attested" } });
    const { checks } = await stage.cast.operator.perform(getServerStatus, {});
    expect(checks).toContainEqual(
      expect.objectContaining({ state: "warning", detail: expect.stringContaining(id) }),
    );
  });

  it("[NOD-020] where the copy renews first, the machine is the one that is refused, and the operator hears", async () => {
    const { node, shown } = await joined(await stage.joinToken());
    const id = parseId("node", node) ?? expect.unreachable();
    const machines = await renewedBy(shown);
    const thiefs = await renewedBy(shown);
    expect(await askedBy(machines)).toBe(spent);
    expect(await askedBy(thiefs)).toBe(200);
    expect(
      (await stage.cast.operator.perform(getNode, { params: { id } })).spent_svid_shown_at,
    ).toBeDefined();
    // The operator gives the machine another one, and the thief is out.
    const { token } = await stage.cast.operator.perform(createJoinToken, { body: { node: id } });
    const again = await joined(token);
    expect(again.node).toBe(id);
    expect(await askedBy(again.shown)).toBe(200);
    for (const old of [shown, machines, thiefs]) expect(await askedBy(old)).toBe(spent);
  });

  it("[NOD-020] of renewals at once by one SVID each but one is spent, and of two uses at once neither is refused", async () => {
    const { shown } = await joined(await stage.joinToken());
    const all = await Promise.allSettled([1, 2, 3, 4].map(() => renewedBy(shown)));
    const renewed = all.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    const uses: (string | number)[] = [];
    for (const one of renewed) uses.push(await askedBy(one));
    expect(uses.filter((one) => one === 200)).toHaveLength(1);
    const { shown: other } = await joined(await stage.joinToken());
    const next = await renewedBy(other);
    expect(await Promise.all([1, 2, 3, 4].map(() => askedBy(next)))).toEqual([200, 200, 200, 200]);
  });

  it("[NOD-021] a machine that ended between the renewal's commit and its own file comes back by the former one", async () => {
    const process = await stage.joinNode();
    await process.kill();
    const { certificates, privateKey } = (await readIdentity(process.dataDir)) ?? expect.unreachable();
    await renewedBy({ cert: certificates.map(certificatePem).join(""), key: keyPem(privateKey) });
    const again = await stage.startNode(process.dataDir);
    expect(again.id).toBe(process.id);
    await stage.entryFor(again.id);
    const api = stage.apiOf(again);
    await until("an SVID", () => isServed(api));
    await again.kill();
  });
});

describe("a node that asks too often", () => {
  it("[NOD-024] gets nothing for an entry that it names twice, nor more of them than a machine needs", async () => {
    const { node, shown } = await joined(await stage.joinToken());
    const entry = await stage.entryFor(node);
    const twice = { items: [1, 2].map(() => ({ entry, ...renewal() })) };
    expect(await askedBy(shown, "/v1/node/x509-svids", twice)).toBe("400 invalid_request");
    const issued = async () => (await stage.entriesOf("svid.issued")).length;
    const before = await issued();
    const ask = async (...entries: readonly string[]) => {
      const body = { items: entries.map((wanted) => ({ entry: wanted, ...renewal() })) };
      const { items } = (await stage.call("/v1/node/x509-svids", body, shown)).json;
      return z.array(z.looseObject({ refused: z.string().optional() })).parse(items);
    };
    const refusals: (string | undefined)[] = [];
    while (!refusals.includes("too_many_requests")) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(entry)));
      refusals.push(...answers.flat().map(({ refused }) => refused));
    }
    expect((await issued()) - before).toBe(refusals.filter((refused) => refused === undefined).length);
    expect(refusals.filter((refused) => refused !== undefined && refused !== "too_many_requests")).toEqual(
      [],
    );
    // Another entry of the same request gets what it needs.
    const parent = parseId("node", node) ?? expect.unreachable();
    const body = { agent: stage.agent.id, selectors: [otherUser()], parent };
    const other = (await stage.cast.operator.perform(createEntry, { body })).id;
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask(entry, other)));
    expect(answers.flat().filter((item) => item["entry"] === other && "svid" in item)).toHaveLength(5);
    expect(answers.flat().some(({ refused }) => refused === "too_many_requests")).toBe(true);
  });
});

/** Begins to ask by an SVID that was never used, and answers how the server answers once the rest is sent. */
async function begun(path: string, body: object, shown: Shown): Promise<() => Promise<string>> {
  const text = JSON.stringify(body);
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
  const sent = request(new URL(path, stage.mtls), {
    method: "POST",
    rejectUnauthorized: false,
    headers,
    ...shown,
  });
  const answered = once(sent, "response");
  const uses = async () => (await stage.entriesOf("node.renewed")).length;
  const before = await uses();
  sent.write(text.slice(0, 1));
  // That its SVID is in use is recorded before its body is read.
  await until("the server to let it in", async () => (await uses()) > before);
  return async () => {
    sent.end(text.slice(1));
    const [response] = await answered;
    const { code } = z.object({ code: z.string().optional() }).parse(await json(response));
    return `${response.statusCode} ${code}`;
  };
}

describe("[NOD-100] a request that was let in before its machine was cut off", () => {
  const makeUseOfNext = async (_: NodeId, shown: Shown) => {
    expect(await askedBy(await renewedBy(shown))).toBe(200);
  };
  const letInAgain = async (id: NodeId) => {
    await stage.cast.operator.perform(evictNode, { params: { id } });
    await stage.cast.operator.perform(readmitNode, { params: { id } });
  };
  it.each([
    { what: "its next SVID was used", meanwhile: makeUseOfNext },
    { what: "another machine joined as the node", meanwhile: rejoined },
    { what: "the node was evicted, and let in again", meanwhile: letInAgain },
  ])("gets no SVID after $what", async ({ meanwhile }) => {
    const { node, shown: first } = await joined(await stage.joinToken());
    const id = parseId("node", node) ?? expect.unreachable();
    const entries = [
      await stage.entryFor(node),
      (
        await stage.cast.operator.perform(createEntry, {
          body: { agent: stage.agent.id, selectors: [otherUser()], parent: id },
        })
      ).id,
    ];
    const asks = [
      ["/v1/node/jwt-svids", { entry: entries[0], audience: ["x"] }],
      ["/v1/node/x509-svids", { items: entries.slice(0, 1).map((entry) => ({ entry, ...renewal() })) }],
      ["/v1/node/x509-svids", { items: entries.map((entry) => ({ entry, ...renewal() })) }],
    ] as const;
    let shown = first;
    for (const [path, body] of asks) {
      shown = await renewedBy(shown);
      const finish = await begun(path, body, shown);
      const issued = async () =>
        (await stage.entriesOf("svid.issued")).filter(({ agent, svids }) => agent ?? svids).length;
      const before = await issued();
      await meanwhile(id, shown);
      expect(await finish()).toBe("409 conflict");
      expect(await issued()).toBe(before);
      shown = (await rejoined(id)).shown;
    }
  });
});

async function rejoined(node: NodeId) {
  const { token } = await stage.cast.operator.perform(createJoinToken, { body: { node } });
  return joined(token);
}

describe("a node that was cut off", () => {
  it("[NOD-022] is the node that it was by a join token that an operator made for it, entries and all", async () => {
    const process = await stage.joinNode();
    const id = parseId("node", process.id) ?? expect.unreachable();
    await stage.entryFor(id);
    await process.kill();
    await sqlOf(
      stage.installation.dataDir,
      `UPDATE node_svid SET expires_at = now() WHERE node_id = '${id}'`,
    );
    const body = { node: id };
    const { token, node } = await stage.cast.operator.perform(createJoinToken, { body });
    expect(node).toBe(id);
    const again = await stage.startNode(stage.directory(), "--join-token", token);
    expect(again.id).toBe(id);
    const api = stage.apiOf(again);
    await until("an SVID", () => isServed(api));
    expect(
      (await stage.call("/v1/node/attest", { ...renewal(), evidence: { kind: "join_token", token } })).status,
    ).toBe(403);
    await again.kill();
  });

  it("[NOD-023] stays out once it is evicted, by no token that was made before, until it is let in again", async () => {
    const { node, shown } = await joined(await stage.joinToken());
    const id = parseId("node", node) ?? expect.unreachable();
    const { token } = await stage.cast.operator.perform(createJoinToken, { body: { node: id } });
    await stage.cast.operator.perform(evictNode, { params: { id } });
    const evidence = { kind: "join_token", token };
    expect((await stage.call("/v1/node/attest", { ...renewal(), evidence })).status).toBe(403);
    await expect(stage.cast.operator.perform(createJoinToken, { body: { node: id } })).rejects.toMatchObject({
      code: "conflict",
    });
    await stage.cast.operator.perform(readmitNode, { params: { id } });
    await expect(stage.cast.operator.perform(readmitNode, { params: { id } })).rejects.toMatchObject({
      code: "conflict",
    });
    expect((await stage.entriesOf("node.readmitted")).at(-1)).toMatchObject({ target: { kind: "node", id } });
    // By fresh evidence alone: nothing that it had before is good again.
    expect(await askedBy(shown)).toBe(spent);
    expect((await stage.call("/v1/node/attest", { ...renewal(), evidence })).json["code"]).toBe(
      "not_attested",
    );
    const { token: fresh } = await stage.cast.operator.perform(createJoinToken, { body: { node: id } });
    expect((await joined(fresh)).node).toBe(id);
  });
});
