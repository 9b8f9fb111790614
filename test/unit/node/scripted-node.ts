import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RefusedError, UnreachableError } from "@countersign/sdk/client/client-error";
import {
  type NodeChange,
  type NodeEntryWire,
  nodeJwtRequestSchema,
  nodeX509RequestSchema,
  renewNodeRequestSchema,
} from "@countersign/sdk/contract/node-face";
import { newId, type OrganizationId } from "@countersign/sdk/model/ids";
import { parseSelector, type Selector } from "@countersign/sdk/model/selector";
import { spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { formatTrustBundle } from "@countersign/sdk/verify/trust-bundle";
import { onTestFinished } from "vitest";
import { base64Of } from "../../../src/domain/base64.ts";
import { DomainError } from "../../../src/domain/domain-error.ts";
import type { NodeEvent } from "../../../src/node/node-event.ts";
import type { NodeIdentity } from "../../../src/node/node-identity.ts";
import type { NodeTime } from "../../../src/node/node-loops.ts";
import { openNodeSource } from "../../../src/node/node-source.ts";
import type { ServerConnection } from "../../../src/node/server-connection.ts";
import { newKeyPair } from "../../../src/svid/key-pair.ts";
import { bundleOf, hourMs, makeAuthority, makeSvid } from "../../svid/pki.ts";

export const trustDomain = "example.org" as TrustDomain;
const organization = "default" as OrganizationId;
const authority = makeAuthority(trustDomain);
export const foreign = "third.example" as TrustDomain;
const issuer = "https://id.example";
const startMs = Date.parse("2026-01-01T00:00:00Z");
const idOf = <Kind extends "node" | "agent" | "entry">(kind: Kind, byte: number) =>
  newId(kind, startMs, new Uint8Array(16).fill(byte));
export const agentId = idOf("agent", 2);
export const user = (name: string) => (parseSelector(`unix:user:${name}`) ?? "") as Selector;

/** An entry of the node's for this user. */
export function entryFor(name: string, byte: number): NodeEntryWire {
  return {
    id: idOf("entry", byte),
    agent: agentId,
    spiffe_id: spiffeIdOf(trustDomain, { kind: "agent", organization, id: agentId }),
    selectors: [user(name)],
    x509_ttl_seconds: 3600,
    jwt_ttl_seconds: 300,
    dns_names: [],
    federates_with: [],
    standing: "active",
  };
}

/** A clock that stands until it is moved. */
function createClock(): NodeTime & { readonly advance: (ms: number) => Promise<void> } {
  const waiting = new Set<{ readonly atMs: number; readonly done: () => void }>();
  let nowMs = startMs;
  return {
    now: () => nowMs,
    random: () => 0.5,
    wait: (ms, signal) =>
      new Promise((resolve) => {
        const waits = { atMs: nowMs + ms, done: resolve };
        waiting.add(waits);
        signal.addEventListener("abort", () => resolve(), { once: true });
        if (signal.aborted) resolve();
      }),
    async advance(ms) {
      nowMs += ms;
      for (const waits of waiting) {
        if (waits.atMs > nowMs) continue;
        waiting.delete(waits);
        waits.done();
      }
      await new Promise(setImmediate);
    },
  };
}

function foreignItems(untilMs: number | undefined) {
  if (untilMs === undefined) return [];
  const bundle = formatTrustBundle(bundleOf(foreign, [makeAuthority(foreign)]));
  return [{ trust_domain: foreign, bundle, believed_until: new Date(untilMs).toISOString() }];
}

/** What the server says next to a node; what it is asked goes by its contract. */
function createServer(now: () => number) {
  const script = {
    /** What every request is answered with, while it is set. */
    failure: undefined as Error | undefined,
    /** Only requests of this path, while it is set. */
    failingPath: undefined as string | undefined,
    /** Until when it says that the bundle of a foreign trust domain is believed; undefined: there is none. */
    foreignUntilMs: undefined as number | undefined,
    /** What signs; it alone is in the bundle. */
    authority,
    entries: [entryFor("build", 3)] as NodeEntryWire[],
    /** Each request's path, without what was asked for in particular. */
    asked: [] as string[],
    checksums: [] as (string | undefined)[],
    streams: 0,
  };
  const events = new EventTarget();
  const expires = () => new Date(now() + hourMs).toISOString();
  const bundlesNow = () => {
    const bundle = formatTrustBundle(bundleOf(trustDomain, [script.authority]));
    const items = [{ trust_domain: trustDomain, bundle }, ...foreignItems(script.foreignUntilMs)];
    return { issuer, items };
  };
  const certificatesFor = (id: string) => [base64Of(makeSvid(script.authority, id))];

  function answerTo(path: string, body: unknown): unknown {
    if (path === "/v1/node/entries") return { as_of: 1, items: script.entries, ended: [] };
    if (path === "/v1/node/bundles") return bundlesNow();
    if (path === "/v1/node/renew") {
      renewNodeRequestSchema.parse(body);
      const { spiffeId } = joined;
      const own = { spiffe_id: spiffeId, certificates: certificatesFor(spiffeId), expires_at: expires() };
      return { ...own, bundles: bundlesNow() };
    }
    if (path === "/v1/node/jwt-svids") {
      const { entry, checksum } = nodeJwtRequestSchema.parse(body);
      script.checksums.push(checksum);
      return { spiffe_id: spiffeIdIn(entry), token: "t", expires_at: expires(), rests_on: [agentId, entry] };
    }
    const items = nodeX509RequestSchema.parse(body).items.map(({ entry, checksum }) => {
      script.checksums.push(checksum);
      const certificates = certificatesFor(spiffeIdIn(entry));
      return { entry, svid: { certificates, expires_at: expires(), rests_on: [agentId, entry] } };
    });
    return { items };
  }

  const spiffeIdIn = (entry: string) => script.entries.find(({ id }) => id === entry)?.spiffe_id ?? "";

  function check(path: string): void {
    script.asked.push(path);
    if (script.failure !== undefined && (script.failingPath ?? path) === path) throw script.failure;
  }

  const connection: ServerConnection = {
    async get(path, schema) {
      const [place = ""] = path.split("?");
      check(place);
      return schema.parse(answerTo(place, undefined));
    },
    async post(path, body, schema) {
      check(path);
      return schema.parse(answerTo(path, JSON.parse(JSON.stringify(body))));
    },
    async *events(path, signal) {
      check(path);
      script.streams++;
      try {
        yield { ids: [], bundles: true, lost: true };
        for (;;) {
          const [event] = await once(events, "said", { signal });
          if (event.detail === null) return;
          yield event.detail;
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        script.streams--;
      }
    },
    close: () => undefined,
  };
  const say = (change: NodeChange | null) =>
    void events.dispatchEvent(new CustomEvent("said", { detail: change }));
  return { script, connection, tell: say, cut: () => say(null) };
}

const nodeId = idOf("node", 1);
const spiffeId = spiffeIdOf(trustDomain, { kind: "node", organization, id: nodeId });
const joined: NodeIdentity = {
  node: nodeId,
  spiffeId,
  trustDomain,
  certificates: [makeSvid(authority, spiffeId)],
  privateKey: newKeyPair().privateKey,
  issuedAtMs: startMs,
  expiresAtMs: startMs + hourMs,
  issuer,
  bundles: [{ bundle: bundleOf(trustDomain, [authority]), untilMs: undefined }],
};

export const unreachable = () => new UnreachableError("https://id.example.org", new Error("refused"));
export const refusal = (code: string) => new RefusedError(401, code, `it is ${code}`);

/** A node whose server does as it is told, on a clock that a test moves. */
export function openScriptedNode() {
  const clock = createClock();
  const server = createServer(clock.now);
  const dataDir = mkdtempSync(join(tmpdir(), `countersign-test-${process.pid}-`));
  const identity = { current: joined };
  const told: NodeEvent[] = [];
  const node = openNodeSource({
    now: clock.now,
    random: clock.random,
    wait: clock.wait,
    connection: server.connection,
    dataDir,
    identity,
    attest: async ({ uid }) => {
      if (uid === 0) throw new DomainError("not_attested", "not this one");
      return [user("build")];
    },
    onEvent: (event) => told.push(event),
  });
  onTestFinished(async () => {
    await node.close();
    rmSync(dataDir, { recursive: true });
  });
  return { ...node, ...server, clock, dataDir, identity, told };
}
