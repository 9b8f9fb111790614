import type { LogId, OrganizationId } from "@countersign/sdk/model/ids";
import { parseTlogProof } from "@countersign/sdk/tlog/tlog-proof";
import { afterEach, describe, expect, it } from "vitest";
import type { LogSource } from "../../src/http/log-source.ts";
import { openFace, refusing } from "./face.ts";

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const face of opened.splice(0)) await face.close();
});

const hash = new Uint8Array(32).fill(7);
const served: Partial<LogSource> = {
  find: async (id) => {
    if (id === "default") return { id, organization: "default" as OrganizationId, public: false };
    if (id === "other") return { id, organization: "other" as OrganizationId, public: false };
    if (id === "open") return { id, organization: "open" as OrganizationId, public: true };
    return id === "system" ? { id: id as LogId, public: false } : undefined;
  },
  checkpoint: async () => "origin\n3\nroot\n\n— origin sig\n",
  tile: async (_log, { level, index, width }) =>
    level === 0 && index === 0 && width === 3 ? hash : undefined,
  entry: async (_log, index) => (index < 3 ? `{"index":${index}}` : undefined),
  inclusion: async (_log, index) =>
    index < 3
      ? { index, size: 3, leafHash: hash, hashes: [hash], checkpoint: "origin\n3\nroot\n\n— origin sig\n" }
      : undefined,
  consistency: async (_log, from, to) => (from <= to && to <= 3 ? [hash] : undefined),
  async *export() {
    yield '{"kind":"header"}';
    yield '{"kind":"checkpoint"}';
  },
};

async function open(logs: Partial<LogSource> = served) {
  const face = await openFace({ deps: { logs: refusing<LogSource>(logs) } });
  opened.push(face);
  return face;
}
const statusOf = async (url: string) => (await fetch(url)).status;

describe("a stranger", () => {
  it("gets checkpoints and proofs", async () => {
    const { issuer } = await open();
    expect(await (await fetch(`${issuer}/log/default/checkpoint`)).text()).toContain("origin\n3\n");
    const proof = parseTlogProof(await (await fetch(`${issuer}/log/default/proof/2`)).text());
    expect(proof).toMatchObject({ index: 2, inclusion: [hash] });
    const inclusion = (await (await fetch(`${issuer}/log/default/proof/inclusion/2`)).json()) as {
      tree_size: number;
    };
    expect(inclusion.tree_size).toBe(3);
    const consistency = await fetch(`${issuer}/log/default/proof/consistency?from=1&to=3`);
    expect(((await consistency.json()) as { hashes: string[] }).hashes).toHaveLength(1);
  });

  it.each(["tile/0/000.p/3", "tile/entries/000.p/3", "entry/0", "export"])(
    "gets no %s of a log that is not public",
    async (path) => {
      const { issuer } = await open();
      expect(await statusOf(`${issuer}/log/default/${path}`)).toBe(401);
    },
  );

  it("gets all of a log that is public, to be kept in any cache", async () => {
    const { issuer } = await open();
    const entry = await fetch(`${issuer}/log/open/entry/0`);
    expect([entry.status, entry.headers.get("cache-control")]).toEqual([
      200,
      "public, max-age=31536000, immutable",
    ]);
    expect(await statusOf(`${issuer}/log/open/tile/0/000.p/3`)).toBe(200);
  });

  const nothing = [
    "/log/nowhere/checkpoint",
    "/log/SYSTEM/checkpoint",
    "/log/%2e%2e%2fdefault/checkpoint",
    "/log/open/tile/0/0",
    "/log/open/tile/0/000.p/256",
    "/log/open/tile/0/x000/000.p/3",
    "/log/open/tile/0/000.p%2F3x",
    "/log/open/tile/64/000",
    "/log/open/entry/3",
    "/log/open/entry/00",
    "/log/open/entry/-1",
    "/log/open/entry/1e0",
    "/log/open/entry/9007199254740993",
    "/log/open/proof/99",
    "/log/open/proof/inclusion/x",
  ];
  it.each(nothing)("gets 404 for %s", async (path) => {
    const { issuer } = await open();
    expect(await statusOf(`${issuer}${path}`)).toBe(404);
  });

  it.each(["", "?from=1", "?from=2&to=1", "?from=0&to=4", "?from=x&to=3", "?from=1&from=2&to=3"])(
    "gets 400 for a consistency proof of %j",
    async (query) => {
      const { issuer } = await open();
      expect(await statusOf(`${issuer}/log/default/proof/consistency${query}`)).toBe(400);
    },
  );
});

describe("an auditor", () => {
  it("reads tiles, entries and the export of the own organization's log, for private caches only", async () => {
    const face = await open();
    const auditor = await face.callerWith("audit");
    const entry = await auditor.send("GET", "/log/default/entry/1");
    expect(await entry.text()).toBe('{"index":1}');
    expect(entry.headers.get("cache-control")).toContain("private");
    const exported = await auditor.send("GET", "/log/default/export");
    expect(exported.headers.get("content-type")).toContain("application/x-ndjson");
    expect(await exported.text()).toBe('{"kind":"header"}\n{"kind":"checkpoint"}\n');
  });

  it("does not read another organization's log, which looks as if it were not there", async () => {
    const face = await open();
    const auditor = await face.callerWith("audit");
    expect((await auditor.send("GET", "/log/other/entry/0")).status).toBe(404);
  });

  it("who is an agent does not read the installation's own log", async () => {
    const face = await open();
    expect((await (await face.callerWith("audit", "agent")).send("GET", "/log/system/entry/0")).status).toBe(
      404,
    );
    expect((await (await face.callerWith("audit")).send("GET", "/log/system/entry/0")).status).toBe(200);
  });

  it("needs the scope", async () => {
    const face = await open();
    expect((await (await face.callerWith("admin")).send("GET", "/log/default/export")).status).toBe(403);
  });
});

it("an export that fails halfway is cut off, never ended as if it were whole", async () => {
  const face = await open({
    ...served,
    async *export() {
      yield "{}";
      throw new Error("database gone");
    },
  });
  const auditor = await face.callerWith("audit");
  const response = await auditor.send("GET", "/log/default/export").catch(() => undefined);
  await expect(response === undefined ? Promise.reject(new Error("cut")) : response.text()).rejects.toThrow();
});
