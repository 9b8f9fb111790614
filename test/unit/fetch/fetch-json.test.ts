import { once } from "node:events";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { type AddressInfo, createServer as createPlainServer, type Server } from "node:net";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { fetchBounded } from "../../../src/fetch/fetch-bounded.ts";
import { fetchJson } from "../../../src/fetch/fetch-json.ts";
import { isPublicAddress } from "../../../src/fetch/public-address.ts";
import { selfSigned } from "../../certificate.ts";

const asked: string[] = [];
let connections = 0;
const server = createServer((req, res) => {
  asked.push(req.url ?? "");
  if (req.url === "/redirect") return void res.writeHead(302, { location: "/json" }).end();
  if (req.url === "/silent") return;
  if (req.url === "/slow") return void res.write('{"a":');
  if (req.url === "/latin1") return void res.end(Buffer.from([0x22, 0xe9, 0x22]));
  if (req.url === "/text") return void res.end("a");
  if (req.url === "/gzip") return void res.writeHead(200, { "content-encoding": "gzip" }).end();
  res.end(req.url === "/long" ? `"${"a".repeat(256 * 1024)}"` : '{"a":1}');
});
server.on("connection", () => {
  connections += 1;
});
let port: number;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ({ port } = server.address() as AddressInfo);
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

describe("[TRU-006] what is fetched from where others say", () => {
  test.each([
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.31.255.255",
    "192.168.0.1",
    "198.18.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "fc00::1",
    "fe80::1",
    "ff02::1",
    "2001:db8::1",
    "2002:a00:1::",
    "example.com",
    "",
  ])("%s is no public address", (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  test.each(["8.8.8.8", "172.32.0.1", "192.167.0.1", "2606:4700::1111"])("%s is one", (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  const own = () => [`127.0.0.1:${port}`];
  const fetched = (path: string) =>
    fetchJson({ url: `http://127.0.0.1:${port}${path}`, privateHosts: own() });

  test("is JSON of this machine only where that was allowed", async () => {
    expect(await fetched("/json")).toEqual({ a: 1 });
    const before = connections;
    for (const [url, why] of [
      [`http://127.0.0.1:${port}/json`, "only https"],
      ["file:///etc/passwd", "only https"],
      [`https://user:word@127.0.0.1:${port}/json`, "password"],
      [`https://127.0.0.1:${port}/json`, "not public"],
      [`https://127.1:${port}/json`, "not public"],
      [`https://2130706433:${port}/json`, "not public"],
      [`https://[::1]:${port}/json`, "not public"],
      [`https://[::ffff:127.0.0.1]:${port}/json`, "not public"],
      // A name that leads here.
      [`https://localhost:${port}/json`, "not public"],
    ] as const)
      await expect(fetchJson({ url }), url).rejects.toThrow(why);
    expect(connections).toBe(before);
    // What is not stopped gets here: the count above would show it.
    const stranger = `https://127.0.0.1:${port}/json`;
    await expect(fetchJson({ url: stranger, privateHosts: own() })).rejects.toThrow("can't be reached");
    expect(connections).toBe(before + 1);
  });

  test("is allowed for a host as it is written, with its port, and for plain http on this machine alone", async () => {
    const before = connections;
    for (const allowed of [`127.0.0.1:${port + 1}`, "127.0.0.1", `localhost:${port}`, `0.0.1:${port}`])
      await expect(
        fetchJson({ url: `https://127.0.0.1:${port}/json`, privateHosts: [allowed] }),
        allowed,
      ).rejects.toThrow("not public");
    await expect(fetchJson({ url: "http://10.0.0.1/", privateHosts: ["10.0.0.1"] })).rejects.toThrow(
      "only https",
    );
    expect(connections).toBe(before);
  });

  test("follows no redirect, and reads 256 KiB at the most, of JSON in UTF-8", async () => {
    await expect(fetched("/redirect")).rejects.toThrow("redirect");
    expect(asked.at(-1)).toBe("/redirect");
    await expect(fetched("/long")).rejects.toThrow("longer than 262144 bytes");
    await expect(fetched("/latin1")).rejects.toThrow("not UTF-8");
    await expect(fetched("/text")).rejects.toThrow("not JSON");
    await expect(fetched("/gzip")).rejects.toThrow("encoding");
  });

  test("waits for nobody who does not answer, or not to the end", async () => {
    for (const path of ["/silent", "/slow"]) {
      const url = `http://127.0.0.1:${port}${path}`;
      const asking = fetchBounded({ url, privateHosts: own(), bytesMax: 1024, timeoutMs: 200 });
      await expect(asking, path).rejects.toThrow("did not answer in time");
    }
  });
});

describe("what can't be fetched is told in words", () => {
  const dayMs = 24 * 3_600_000;

  /** Why nothing is fetched of who listens there for the length of the test. */
  async function reasonOf(listener: Server, scheme: string, ca?: string): Promise<string> {
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    onTestFinished(() => void listener.close());
    const host = `127.0.0.1:${(listener.address() as AddressInfo).port}`;
    const request = { url: `${scheme}://${host}/`, privateHosts: [host], bytesMax: 1, timeoutMs: 10_000 };
    const failed: unknown = await fetchBounded({ ...request, ca }).catch((error: unknown) => error);
    return failed instanceof Error ? failed.message : "";
  }

  test.each([
    ["from no authority that is trusted for it", {}, false],
    ["for another host", { address: [10, 0, 0, 1] }, true],
    ["has ended", { fromMs: Date.now() - 3 * dayMs }, true],
    ["is not valid yet", { fromMs: Date.now() + dayMs }, true],
  ])("a certificate that %s", async (words, options, isTrusted) => {
    const tls = selfSigned((await makeKeyPair()).privateJwk, "test", options);
    const reason = await reasonOf(createSecureServer(tls), "https", isTrusted ? tls.cert : undefined);
    expect(reason).toMatch(/^it does not prove what it is: its certificate (?:is )?/);
    expect(reason).toContain(words);
  });

  test("what speaks another protocol, or ends the connection", async () => {
    const says = (words: string) => createPlainServer((socket) => void socket.end(words));
    expect(await reasonOf(says("220 mail.example ESMTP\r\n"), "https")).toBe(
      "it can't be reached: what answers there and this server find no TLS in common",
    );
    expect(await reasonOf(says("220 mail.example ESMTP\r\n"), "http")).toBe(
      "what answers there does not speak HTTP",
    );
    const breaks = createPlainServer((socket) => void socket.once("data", () => socket.resetAndDestroy()));
    expect(await reasonOf(breaks, "http")).toBe("it can't be reached: it broke the connection off");
  });
});
