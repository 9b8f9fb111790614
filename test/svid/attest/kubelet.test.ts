import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import type { KubeletPlace } from "../../../src/domain/kubelet.ts";
import { createK8sAttestor, podSelectors } from "../../../src/svid/attest/workload/k8s.ts";
import { createReadPods } from "../../../src/svid/attest/workload/kubelet.ts";
import { selfSigned } from "../../certificate.ts";
import type { TestKubeletOptions } from "./kubelet-server.ts";
import { closeKubelets, kubeletWith, place, pod, selectors, uid } from "./pods.ts";

const directory = mkdtempSync(join(tmpdir(), "attest-k8s-"));
let nowMs = 1_000_000;
const now = () => nowMs;
const deps = { now, wait: async () => undefined };
const selectorsBy = (config: KubeletPlace) => podSelectors(deps, createReadPods({ now }, config), place);
afterEach(closeKubelets);
afterAll(() => rmSync(directory, { recursive: true }));

function fileOf(name: string, content: string): string {
  writeFileSync(join(directory, name), content);
  return join(directory, name);
}

describe("[ENT-108] the kubelet", () => {
  it("is sent the token of the moment, and nothing else is asked of it", async () => {
    const { url, asked } = await kubeletWith({ token: "tok.one", pods: () => [pod()] });
    const tokenFile = fileOf("token", "old");
    const readPods = createReadPods({ now }, { url: `${url}/`, tokenFile });
    await expect(readPods()).rejects.toThrow("401");
    fileOf("token", "tok.one\n");
    expect((await readPods()).has(uid)).toBe(true);
    expect(asked).toEqual(["GET /pods", "GET /pods"]);
  });

  it("is not sent what is no token, and no error tells it", async () => {
    const { url, asked } = await kubeletWith({ pods: () => [] });
    const tokenFile = fileOf("token-lines", "secret\r\nx-evil: 1");
    const error = await createReadPods({ now }, { url, tokenFile })().catch(String);
    expect(error).toBe("Error: the kubelet's token file holds no token");
    await expect(createReadPods({ now }, { url, tokenFile: join(directory, "none") })()).rejects.toThrow(
      "ENOENT",
    );
    expect(asked).toEqual([]);
  });

  it("is asked once for all who ask within a second, and again after that", async () => {
    const { url, asked } = await kubeletWith({ pods: () => [pod()] });
    const readPods = createReadPods({ now }, { url });
    await Promise.all(Array.from({ length: 50 }, () => podSelectors(deps, readPods, place)));
    nowMs += 1_000;
    await readPods();
    expect(asked).toHaveLength(1);
    nowMs += 1;
    await readPods();
    expect(asked).toHaveLength(2);
  });

  it("is asked once more, for all who wait, for a container that it did not know yet", async () => {
    let pods: unknown[] = [];
    const { url, asked } = await kubeletWith({ pods: () => pods });
    const readPods = createReadPods({ now }, { url });
    await readPods();
    pods = [pod()];
    nowMs += 1;
    const all = await Promise.all(Array.from({ length: 50 }, () => podSelectors(deps, readPods, place)));
    expect(all.every((found) => found.length === selectors.length)).toBe(true);
    expect(asked).toHaveLength(2);
  });

  it("[ENT-041] is asked on, some seconds long, for a container that is about to be there", async () => {
    const waited: number[] = [];
    const wait = async (ms: number) => {
      waited.push(ms);
      nowMs += ms;
    };
    const waiting = pod({ status: { phase: "Pending", containerStatuses: [{ name: "main", image: "x" }] } });
    const { url, asked } = await kubeletWith({ pods: () => (waited.length < 3 ? [waiting] : [pod()]) });
    expect(await podSelectors({ now, wait }, createReadPods({ now }, { url }), place)).toEqual(selectors);
    expect([asked.length, waited]).toEqual([4, [500, 500, 500]]);
    const { url: never, asked: again } = await kubeletWith({ pods: () => [] });
    const readPods = createReadPods({ now }, { url: never });
    await expect(podSelectors({ now, wait }, readPods, place)).rejects.toThrow("knows no container");
    expect([again.length, waited.length]).toEqual([10, 12]);
  });

  it.each([
    [401, "it does not know who shows this token"],
    [403, "may not get nodes/pods"],
  ])("[ENT-042] that answers %i is told of with what that means", async (status, words) => {
    const { url } = await kubeletWith({ answer: (response) => void response.writeHead(status).end() });
    await expect(createReadPods({ now }, { url })()).rejects.toThrow(words);
  });

  it("is asked again after it failed", async () => {
    let status = 500;
    const { url } = await kubeletWith({
      answer: (response) => void response.writeHead(status).end('{"kind":"PodList","items":null}'),
    });
    const readPods = createReadPods({ now }, { url });
    await expect(readPods()).rejects.toThrow("the kubelet answered with 500");
    status = 200;
    expect((await readPods()).size).toBe(0);
  });

  it.each([
    ["a redirect", (response) => void response.writeHead(302, { location: "/pods" }).end()],
    ["a refusal that never ends", (response) => void response.writeHead(403).write("x")],
    ["no JSON", (response) => void response.writeHead(200).end("<html>")],
    ["another kind", (response) => void response.writeHead(200).end('{"kind":"NodeList","items":[]}')],
    ["no UTF-8", (response) => void response.writeHead(200).end(Buffer.from([0x7b, 0xff]))],
    ["half an answer", (response) => void response.writeHead(200).write("{", () => response.destroy())],
    ["more than is read", (response) => void response.writeHead(200).end(" ".repeat(32 * 1024 * 1024 + 1))],
  ] as [string, NonNullable<TestKubeletOptions["answer"]>][])(
    "that answers with %s is not believed",
    async (_, answer) => {
      const { url } = await kubeletWith({ answer });
      await expect(createReadPods({ now }, { url })()).rejects.toThrow();
    },
  );

  it("is verified, and shown our certificate where it asks for one", async () => {
    const [server, client, other] = (await Promise.all(
      ["kubelet", "client", "other"].map(async (name) => selfSigned((await makeKeyPair()).privateJwk, name)),
    )) as [ReturnType<typeof selfSigned>, ReturnType<typeof selfSigned>, ReturnType<typeof selfSigned>];
    const tls = { ...server, requestCert: true, rejectUnauthorized: true, ca: client.cert };
    const { url, asked } = await kubeletWith({ tls, pods: () => [pod()] }, "https");
    const shown = {
      certificateFile: fileOf("client.pem", client.cert),
      keyFile: fileOf("client.key", client.key),
    };
    const caFile = fileOf("ca.pem", server.cert);
    await expect(selectorsBy({ url, ...shown })).rejects.toThrow(/self-signed|unable to verify/);
    await expect(selectorsBy({ url, ...shown, caFile: fileOf("other.pem", other.cert) })).rejects.toThrow();
    await expect(selectorsBy({ url, caFile })).rejects.toThrow();
    expect(asked).toEqual([]);
    expect(await selectorsBy({ url, caFile, ...shown })).toEqual(selectors);
  });

  it.each([
    "http://192.0.2.1:10255",
    "http://127.0.0.1.example:10255",
    "ftp://127.0.0.1",
    "https://user@127.0.0.1",
    "https://127.0.0.1/?a",
    "nowhere",
  ])("is not asked at %s", (url) =>
    expect(() => createK8sAttestor({ ...deps, readCgroups: () => "" }, { url })).toThrow(),
  );
});
