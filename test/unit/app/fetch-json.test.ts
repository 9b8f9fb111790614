import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fetchJson } from "../../../src/app/fetch-json.ts";
import { isPublicAddress } from "../../../src/svid/federation/public-address.ts";

const asked: string[] = [];
const server = createServer((req, res) => {
  asked.push(req.url ?? "");
  if (req.url === "/redirect") return void res.writeHead(302, { location: "/json" }).end();
  if (req.url === "/silent") return;
  res.end(req.url === "/long" ? `"${"a".repeat(256 * 1024)}"` : '{"a":1}');
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

  test("is JSON of this machine only where that was allowed", async () => {
    expect(await fetchJson({ allowsLoopback: true }, `http://127.0.0.1:${port}/json`)).toEqual({ a: 1 });
    const before = asked.length;
    for (const url of [
      `http://127.0.0.1:${port}/json`,
      `https://127.0.0.1:${port}/json`,
      `https://127.1:${port}/json`,
      `https://2130706433:${port}/json`,
      `https://[::1]:${port}/json`,
      // A name that leads here.
      `https://localhost:${port}/json`,
      `https://user:word@example.com/json`,
      "file:///etc/passwd",
    ]) {
      await expect(fetchJson({ allowsLoopback: false }, url)).rejects.toThrow();
    }
    expect(asked).toHaveLength(before);
  });

  test("follows no redirect, and reads 256 KiB at the most", async () => {
    const fetched = (path: string) => fetchJson({ allowsLoopback: true }, `http://127.0.0.1:${port}${path}`);
    await expect(fetched("/redirect")).rejects.toThrow("302");
    expect(asked.at(-1)).toBe("/redirect");
    await expect(fetched("/long")).rejects.toThrow("too long");
  });

  test("waits for nobody who does not answer", async () => {
    await expect(fetchJson({ allowsLoopback: true }, `http://127.0.0.1:${port}/silent`)).rejects.toThrow();
  });
});
