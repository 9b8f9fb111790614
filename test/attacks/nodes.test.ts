import { sign } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEntry, deleteEntry } from "@countersign/sdk/contract/entries";
import { x509popProof } from "@countersign/sdk/contract/node-face";
import { evictNode, getNode, readmitNode } from "@countersign/sdk/contract/nodes";
import { listSigningKeys, taintAuthority, withdrawAuthority } from "@countersign/sdk/contract/signing-keys";
import { parseId } from "@countersign/sdk/model/ids";
import { type SpiffeId, trustDomainOf } from "@countersign/sdk/model/spiffe-id";
import { readCertificate } from "@countersign/sdk/verify/certificate";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { base64Of } from "../../src/domain/base64.ts";
import { certificatePem, keyPem, readIdentity } from "../../src/node/node-identity.ts";
import { createServerConnection } from "../../src/node/server-connection.ts";
import { assembleCertificate } from "../../src/svid/certificate.ts";
import { newKeyPair } from "../../src/svid/key-pair.ts";
import type { JWTSVIDResponse } from "../../src/workload-api/generated/workload.ts";
import { sqlOf } from "../chaos/postgres.ts";
import {
  attestBody,
  endOf,
  isServed,
  type NodeProcess,
  type NodeStage,
  openNodeStage,
  type Shown,
  self,
  shownBy,
} from "../e2e/node-stage.ts";
import { until } from "../server.ts";
import { leaf, makeAuthority, makeOdd, type TestAuthority, uri } from "../svid/pki.ts";
import { ask, read, security } from "../workload-api/socket.ts";

const machines = makeAuthority("machines.example");
let stage: NodeStage;
let node: NodeProcess;
let entry: string;
beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), `countersign-test-${process.pid}-`));
  const ca = join(directory, "machines.pem");
  writeFileSync(ca, certificatePem(machines.certificate));
  stage = await openNodeStage({ COUNTERSIGN_NODE_CA: ca });
  rmSync(directory, { recursive: true });
  node = await stage.joinNode();
  entry = await stage.entryFor(node.id);
  const api = stage.apiOf(node);
  await until("an SVID", () => isServed(api));
});
afterAll(() => stage.close());

const identityOf = async ({ dataDir }: NodeProcess) => (await readIdentity(dataDir)) ?? expect.unreachable();

const pemOf = ({ privateKey }: TestAuthority) =>
  privateKey.export({ format: "pem", type: "pkcs8" }).toString();

/** An SVID for this very ID, by somebody else's authority of the same name. */
function forgedLike(spiffeId: SpiffeId): Shown {
  const forged = makeOdd(makeAuthority(trustDomainOf(spiffeId)), [...leaf, uri(spiffeId)]);
  return { cert: certificatePem(forged.certificate), key: pemOf(forged) };
}

/** What a machine sends that joins by its certificate. */
async function popBody(machine: TestAuthority, changes: { nonce?: string; signedKey?: Uint8Array } = {}) {
  const { publicKey } = newKeyPair();
  const { nonce = String((await stage.call("/v1/node/nonce", {})).json["nonce"]) } = changes;
  const proof = x509popProof(nonce, base64Of(changes.signedKey ?? publicKey));
  const signature = base64Of(sign("sha256", Buffer.from(proof), machine.privateKey));
  const certificates = [base64Of(machine.certificate)];
  const evidence = { kind: "x509pop", certificates, nonce, signature };
  return { public_key: base64Of(publicKey), evidence };
}

async function activeAuthority(kind: "x509" | "jwt" = "x509"): Promise<string> {
  const { items } = await stage.cast.operator.perform(listSigningKeys, { query: { limit: 200 } });
  const active = items.find(({ purpose, status }) => purpose === `${kind}_authority` && status === "active");
  return active?.id ?? expect.unreachable();
}

const attest = (body: unknown) => stage.call("/v1/node/attest", body);

describe("a node", () => {
  it("[NOD-002] gets SVIDs for its own entries alone: not another node's, nor the server's", async () => {
    const other = await stage.joinNode();
    const shown = await shownBy(other);
    const servers = await stage.entryFor(undefined);
    for (const foreign of [entry, servers]) {
      const public_key = base64Of(newKeyPair().publicKey);
      const { json } = await stage.call(
        "/v1/node/x509-svids",
        { items: [{ entry: foreign, public_key }] },
        shown,
      );
      expect(json).toEqual({ items: [{ entry: foreign, refused: "not_found" }] });
      const jwt = await stage.call("/v1/node/jwt-svids", { entry: foreign, audience: ["x"] }, shown);
      expect([jwt.status, jwt.json["code"]]).toEqual([404, "not_found"]);
    }
    expect((await stage.call("/v1/node/entries", undefined, shown)).json).toMatchObject({
      items: [],
      ended: [],
    });
    await stage.cast.operator.perform(deleteEntry, { params: { id: servers } });
    await other.kill();
  });

  it("[SVI-034] gives a JWT-SVID for the server's token endpoint to one caller only, and one for others to all", async () => {
    const callers = [stage.apiOf(node), stage.apiOf(node)];
    const tokens = async (audience: string) => {
      const given = await Promise.all(
        callers.map((api) =>
          ask<JWTSVIDResponse>((respond) =>
            api.fetchJwtsvid({ audience: [audience], spiffeId: "" }, security, respond),
          ),
        ),
      );
      return new Set(given.map(({ svids }) => svids[0]?.svid));
    };
    expect((await tokens(stage.installation.issuer)).size).toBe(2);
    expect((await tokens("https://other.example")).size).toBe(1);
  });

  it("[NOD-003] is known by its X.509-SVID alone, and is nobody at the token endpoint", async () => {
    expect((await stage.call("/v1/node/entries", undefined)).status).toBe(401);
    const api = stage.apiOf(node);
    const stream = read(api.fetchX509Svid({}, security));
    const [svid] = (await stream.next()).svids;
    stream.cancel();
    // A workload's, on this very node, is no node's.
    const workload = {
      cert: certificatePem(svid?.x509Svid ?? new Uint8Array()),
      key: keyPem(svid?.x509SvidKey ?? new Uint8Array()),
    };
    expect((await stage.call("/v1/node/entries", undefined, workload)).status).toBe(401);
    const forged = forgedLike((await identityOf(node)).spiffeId);
    expect((await stage.call("/v1/node/entries", undefined, forged)).status).toBe(401);
    const shown = await shownBy(node);
    const identity = await identityOf(node);
    const form = new URLSearchParams({
      grant_type: "client_credentials",
      client_id: identity.spiffeId,
      resource: `${stage.installation.issuer}/v1`,
      scope: "admin",
    });
    expect((await stage.call("/token", form, shown)).status).toBe(401);
  });

  it("[NOD-004] uses up no token, and is not ended, at a port where no certificate can be shown", async () => {
    const token = await stage.joinToken();
    const refusal = {
      code: "invalid_request",
      detail: expect.stringContaining("use the server's COUNTERSIGN_MTLS_PORT"),
    };
    const { url } = stage.server.current;
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify(attestBody(token));
    const plain = await fetch(`${url}/v1/node/attest`, { method: "POST", headers, body });
    expect([plain.status, await plain.json()]).toMatchObject([400, refusal]);
    const entries = await fetch(`${url}/v1/node/entries`);
    expect([entries.status, await entries.json()]).toMatchObject([400, refusal]);
    expect((await attest(attestBody(token))).status).toBe(200);
  });

  it("[NOD-091] is refused what can't be asked for, or signed", async () => {
    const shown = await shownBy(node);
    const asked = await Promise.all([
      ...["%00", "ent_%00", "z".repeat(64)].map((cursor) =>
        stage.call(`/v1/node/entries?cursor=${cursor}`, undefined, shown),
      ),
      ...[["\ud800"], ["a\u0000b"], ["a\u0085"], [""], [], ["a".repeat(8193)], Array(65).fill("a")].map(
        (audience) => stage.call("/v1/node/jwt-svids", { entry, audience }, shown),
      ),
    ]);
    expect(new Set(asked.map(({ status, json }) => `${status} ${json["code"]}`))).toEqual(
      new Set(["400 invalid_request"]),
    );
    const most = Array.from({ length: 64 }, (_, place) => `${"a".repeat(120)}${place}`);
    expect(await stage.call("/v1/node/jwt-svids", { entry, audience: most }, shown)).toMatchObject({
      status: 200,
    });
    expect((await stage.call(`/v1/node/entries?cursor=${entry}`, undefined, shown)).status).toBe(200);
  });

  it("[NOD-004] joins once by one token: not again, not two at once, not with one that is over", async () => {
    const token = await stage.joinToken();
    const both = await Promise.all([1, 2].map(() => stage.call("/v1/node/attest", attestBody(token))));
    expect(both.map(({ status }) => status === 200).sort()).toEqual([false, true]);
    const later = await stage.call("/v1/node/attest", attestBody(token));
    expect([later.status, later.json["code"]]).toEqual([403, "not_attested"]);
    expect((await stage.call("/v1/node/attest", attestBody("made-up"))).status).toBe(403);
    const over = await stage.joinToken();
    await sqlOf(stage.installation.dataDir, "UPDATE join_token SET expires_at = now() - interval '1 s'");
    expect((await stage.call("/v1/node/attest", attestBody(over))).status).toBe(403);
    const text = JSON.stringify(await stage.entriesOf("join_token.created"));
    expect(text).not.toContain(token);
  });

  it("[NOD-009] joins by a certificate of the operator's authority, and by its key over a fresh nonce alone", async () => {
    const machine = makeOdd(machines, leaf, { name: "build-7" });
    const stranger = makeOdd(makeAuthority("machines.example"), leaf);
    const refused = { status: 403, json: { code: "not_attested" } };
    expect(await attest(await popBody(stranger))).toMatchObject(refused);
    expect(await attest(await popBody(machine, { nonce: "made-up" }))).toMatchObject(refused);
    const { publicKey: signedKey } = newKeyPair();
    expect(await attest(await popBody(machine, { signedKey }))).toMatchObject(refused);
    const stolen = await popBody(machine);
    const { signature } = (await popBody(stranger)).evidence;
    expect(await attest({ ...stolen, evidence: { ...stolen.evidence, signature } })).toMatchObject(refused);
    const body = await popBody(machine);
    expect((await attest(body)).status).toBe(200);
    expect(await attest(body)).toMatchObject(refused);
  });

  it("[NOD-010] is one machine: a second one with its evidence is refused until the first is evicted", async () => {
    const machine = makeOdd(machines, leaf, { name: "build-8" });
    const directory = stage.directory();
    writeFileSync(join(directory, "cert.pem"), certificatePem(machine.certificate));
    writeFileSync(join(directory, "key.pem"), pemOf(machine));
    const words = [
      "--x509pop-cert",
      join(directory, "cert.pem"),
      "--x509pop-key",
      join(directory, "key.pem"),
    ];
    const first = await stage.startNode(stage.directory(), ...words);
    // The same certificate under another signature: whoever sees one of ECDSA can make a second that holds.
    const { toBeSigned } = readCertificate(machine.certificate);
    const resigned = assembleCertificate(toBeSigned, sign("sha256", toBeSigned, machines.privateKey));
    for (const same of [machine, { ...machine, certificate: resigned }])
      expect(await attest(await popBody(same))).toMatchObject({ status: 409, json: { code: "conflict" } });
    const id = parseId("node", first.id) ?? expect.unreachable();
    await stage.cast.operator.perform(evictNode, { params: { id } });
    expect(await first.ended).toBe(1);
    // What was evicted stays out, until an operator lets it in again: then it is the node that it was.
    const barred = { status: 403, json: { code: "not_attested" } };
    expect(await attest(await popBody(machine))).toMatchObject(barred);
    await stage.cast.operator.perform(readmitNode, { params: { id } });
    expect(await attest(await popBody(machine))).toMatchObject({ status: 200, json: { node: id } });
    expect(await attest(await popBody(machine))).toMatchObject({ status: 409, json: { code: "conflict" } });
  });

  it("[NOD-022] is by its certificate the node that it was once its SVID has ended, of two at once one", async () => {
    const machine = makeOdd(machines, leaf, { name: "build-9" });
    const { json } = await attest(await popBody(machine));
    const sql = `UPDATE node_svid SET expires_at = now() WHERE node_id = '${json["node"]}'`;
    await sqlOf(stage.installation.dataDir, sql);
    const bodies = [await popBody(machine), await popBody(machine)];
    const answers = await Promise.all(bodies.map(attest));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect(answers.find(({ status }) => status === 200)?.json["node"]).toBe(json["node"]);
  });

  it("[NOD-011] has its SVID exchanged when its authority is tainted, if it was issued, and gets nothing else", async () => {
    const [other, before] = [await stage.joinNode(), await shownBy(node)];
    const unknown = await shownBy(other);
    await other.kill();
    const sql = `DELETE FROM node_svid WHERE node_id = '${other.id}'`;
    await sqlOf(stage.installation.dataDir, sql);
    const api = stage.apiOf(node);
    const stream = read(api.fetchX509Svid({}, security));
    const [held] = (await stream.next()).svids;
    await stage.cast.operator.perform(taintAuthority, { params: { id: await activeAuthority() } });
    const isHeld = (svid: Uint8Array | undefined) =>
      Buffer.from(svid ?? []).equals(Buffer.from(held?.x509Svid ?? []));
    // The authority that follows is in the bundle before it signs.
    while (isHeld((await stream.next()).svids[0]?.x509Svid));
    stream.cancel();
    await until("another SVID", async () => (await shownBy(node)).cert !== before.cert);
    expect((await stage.call("/v1/node/entries", undefined, await shownBy(node))).status).toBe(200);
    expect((await stage.call("/v1/node/entries", undefined, before)).status).toBe(401);
    const asked = { public_key: base64Of(newKeyPair().publicKey) };
    expect((await stage.call("/v1/node/renew", asked, unknown)).status).toBe(401);
  });

  it("[NOD-102] gives out no JWT-SVID any more that a tainted authority signed", async () => {
    const api = stage.apiOf(node);
    const given = async () => {
      const asked = { audience: ["https://other.example"], spiffeId: "" };
      const { svids } = await ask<JWTSVIDResponse>((respond) => api.fetchJwtsvid(asked, security, respond));
      return svids[0]?.svid;
    };
    const before = await given();
    expect(await given()).toBe(before);
    await stage.cast.operator.perform(taintAuthority, { params: { id: await activeAuthority("jwt") } });
    await until("another JWT-SVID", async () => (await given()) !== before);
  });

  it("[NOD-101] [NOD-102] is the node that it was by fresh evidence once the authority of its SVID is withdrawn", async () => {
    const machine = makeOdd(machines, leaf, { name: "build-10" });
    const { json } = await attest(await popBody(machine));
    const before = await shownBy(node);
    const id = await activeAuthority();
    await stage.cast.operator.perform(taintAuthority, { params: { id } });
    // Until then it may have it exchanged.
    const refused = { status: 409, json: { code: "conflict" } };
    expect(await attest(await popBody(machine))).toMatchObject(refused);
    await until("another SVID", async () => (await shownBy(node)).cert !== before.cert);
    await stage.cast.operator.perform(withdrawAuthority, { params: { id } });
    expect(await attest(await popBody(machine))).toMatchObject({ status: 200, json: { node: json["node"] } });
    expect(await attest(await popBody(machine))).toMatchObject(refused);
    // Whoever was away meanwhile hears of it by the first word of its next stream.
    const current = await identityOf(node);
    const trust = { kind: "spiffe", authorities: [] } as const;
    const connection = createServerConnection({ server: stage.mtls, trust, identity: () => current });
    const changes = connection.events("/v1/node/changes", new AbortController().signal);
    const first = await changes.next();
    expect(first.value).toMatchObject({ ids: expect.arrayContaining([id]), lost: true });
    await changes.return();
    connection.close();
  });

  it("[NOD-008] gets nothing more once it is evicted, and ends", async () => {
    const id = parseId("node", node.id) ?? expect.unreachable();
    const shown = await shownBy(node);
    const api = stage.apiOf(node);
    const stream = read(api.fetchX509Svid({}, security));
    await stream.next();
    await stage.cast.operator.perform(evictNode, { params: { id } });
    expect(await node.ended).toBe(1);
    expect(["PERMISSION_DENIED", "UNAVAILABLE"]).toContain(await endOf(stream));
    for (const path of ["/v1/node/renew", "/v1/node/x509-svids"]) {
      const { status, json } = await stage.call(path, {}, shown);
      expect([status, json["code"]]).toEqual([403, "not_attested"]);
    }
    expect((await stage.cast.operator.perform(getNode, { params: { id } })).status).toBe("evicted");
    const refused = (body: object) => stage.cast.operator.perform(createEntry, { body: body as never });
    await expect(refused({ agent: stage.agent.id, selectors: [self], parent: id })).rejects.toMatchObject({
      code: "subject_not_active",
    });
  });
});
